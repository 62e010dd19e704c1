"""The database that a command works on: the one that was named, or the checkout's own server."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import cached_property
from pathlib import Path
from shlex import quote as quoted
from typing import Any, NoReturn
from urllib.parse import quote

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.cli.output import fail, note
from entasis_db.embedded import (
    DATABASE,
    HOME_VARIABLE,
    PASSFILE,
    Cluster,
    embedded_cluster,
    embedded_home,
    former_home,
    has_cluster,
)
from entasis_db.libpq import SECRETS
from entasis_db.search_path import pin


class Use(Enum):
    """What a command does with the database, and so what may be done to the embedded server."""

    READS = auto()
    """It reads: nothing is started, and nothing is made."""
    WRITES = auto()
    """It writes: a server that was stopped is started."""
    INSTALLS = auto()
    """It makes what is in the database: so it makes the server, too."""


class Target:
    """What ``--database`` or DATABASE_URL names, or else the embedded server of the checkout."""

    def __init__(self, given: str | None, *, from_environment: bool = False):
        self._given = given
        self.from_environment = from_environment
        """Whether it was DATABASE_URL that named it."""

    @cached_property
    def given(self) -> str | None:
        """The connection string that was named, if one was."""
        return None if self._given is None else _checked(self._given)

    @cached_property
    def home(self) -> Path | None:
        """The folder of the embedded server, when it is what the command works on.

        It is, too, when the URL that was named is its own, as ``entasis url`` prints it: a shell
        that has the URL in its environment can start the server anew.
        """
        if self.given is not None:
            passfile = Path(str(conninfo_to_dict(self.given).get("passfile") or ""))
            if passfile.name != PASSFILE or passfile != embedded_home() / PASSFILE:
                return None
        return embedded_home()

    @cached_property
    def cluster(self) -> Cluster | None:
        """The embedded server, when it is what the command works on."""
        return None if self.home is None else embedded_cluster()

    def dsn(self, use: Use = Use.READS) -> str:
        """Return the connection string, once the embedded server runs, if it is that."""
        if self.home is None:
            assert self.given is not None
            return self.given
        cluster = self._running(self.home, use)
        if self.given is None:
            return cluster.dsn()
        # the server may have another port than when its URL was printed
        return make_conninfo(self.given, port=conninfo_to_dict(cluster.url())["port"])

    def url(self) -> str:
        """Return the connection string of a running server, without what is secret in it."""
        if self.home is None:
            assert self.given is not None
            return without_secrets(self.given)
        cluster = self._running(self.home, Use.READS)
        named = conninfo_to_dict(self.given or "").get("dbname")
        return cluster.url(str(named or DATABASE))

    @contextmanager
    def connect(self, use: Use = Use.READS) -> Iterator[psycopg.Connection[Any]]:
        """Connect in autocommit mode, under the name of the command."""
        command = click.get_current_context().info_name
        with psycopg.connect(
            self.dsn(use),
            autocommit=True,
            application_name=f"entasis {command}",
            client_encoding="UTF8",  # a name may be in any script
        ) as connection:
            pin(connection)
            yield connection

    def _running(self, home: Path, use: Use) -> Cluster:
        """Answer the embedded server, running; or end the command, and say which one starts it."""
        other = former_home()
        if use is not Use.INSTALLS and not has_cluster(home):
            no_server_yet(home)
        cluster = self.cluster
        assert cluster is not None
        if other is not None:
            note(f"this command works on the embedded server in {home}; {_another(other)}")
        if not cluster.is_running():
            if use is Use.READS:
                fail(f"the embedded server in {home} does not run: entasis start starts it")
            why = "no DATABASE_URL: " if self.given is None else ""
            note(f"{why}starting the embedded PostgreSQL in {home}")
            cluster.start()
        return cluster


def no_server_yet(home: Path) -> NoReturn:
    """Say which command makes the embedded server, and where."""
    other = former_home()
    said = "" if other is None else f". But {_another(other)}"
    fail(
        f"there is no embedded server in {home} yet: entasis migrate makes one, or set DATABASE_URL"
        f" to work on a server of yours{said}"
    )


def _another(home: Path) -> str:
    return (
        "an embedded server that was made for the folder in which you are is in "
        f"{home}: to use that one, export {HOME_VARIABLE}={quoted(str(home))}"
    )


def _checked(dsn: str) -> str:
    """Refuse a connection string that libpq would quote, with its password, in an error."""
    try:
        parts = conninfo_to_dict(dsn)
    except (psycopg.ProgrammingError, UnicodeError):
        parts = {"host": "@"}
    ports = str(parts.get("port") or "0").split(",")
    # An @, : or / in a password that is not encoded shifts what comes after it, the rest of the
    # password among it, into these.
    names = f"{parts.get('host', '')}{parts.get('dbname', '') if '://' in dsn else ''}"
    if "@" in names or not all(port.strip().isdecimal() for port in ports if port):
        fail(
            "the connection string cannot be understood; write postgresql://user@host:port/name, "
            "with every special character of a password encoded (@ is %40, : is %3A, / is %2F)"
        )
    return dsn


def without_secrets(dsn: str) -> str:
    """Return a connection string, a URL if it was one, without passwords and keys."""
    parts = conninfo_to_dict(dsn)
    kept = {name: str(value) for name, value in parts.items() if name not in SECRETS}
    if len(kept) == len(parts):
        return dsn
    if "://" in dsn:
        url = _url(kept)
        if conninfo_to_dict(url) == kept:
            return url
    return make_conninfo("", **kept)


def _url(parts: dict[str, str]) -> str:
    """Write parameters as a URL: what has no place of its own goes behind the question mark."""
    rest = dict(parts)
    user, name = rest.pop("user", ""), rest.pop("dbname", "")
    hosts = rest.get("host", "").split(",")
    ports = rest.get("port", "").split(",")
    authority = ""
    # a socket's folder, and a list of ports for a list of hosts, are read behind it alone
    if len(hosts) == len(ports) == 1 and not hosts[0].startswith(("/", "@")):
        host = f"[{hosts[0]}]" if ":" in hosts[0] else quote(hosts[0], safe="")
        authority = host + (f":{ports[0]}" if ports[0] else "")
        rest.pop("host", None)
        rest.pop("port", None)
    login = f"{quote(user, safe='')}@" if user else ""
    query = "&".join(f"{name}={quote(value)}" for name, value in rest.items())
    return f"postgresql://{login}{authority}/{quote(name, safe='')}" + (query and f"?{query}")
