"""The database that a command works on: the one that was named, or the checkout's own server."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.cli.output import fail, note
from entasis_db.embedded import DATABASE, PASSFILE, Cluster, embedded_cluster, embedded_home
from entasis_db.libpq import SECRETS
from entasis_db.search_path import pin


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
    def cluster(self) -> Cluster | None:
        """The embedded server of this checkout, when it is what the command works on.

        It is, too, when the URL that was named is its own, as ``entasis url`` prints it: a shell
        that has the URL in its environment can start the server anew.
        """
        if self.given is not None:
            passfile = Path(str(conninfo_to_dict(self.given).get("passfile") or ""))
            if passfile.name != PASSFILE or passfile != embedded_home() / PASSFILE:
                return None
        return embedded_cluster()

    def dsn(self) -> str:
        """Return the connection string; the embedded server is started if it does not run."""
        if self.cluster is None:
            assert self.given is not None
            return self.given
        self._start(self.cluster)
        if self.given is None:
            return self.cluster.dsn()
        # the server may have another port than when its URL was printed
        return make_conninfo(self.given, port=conninfo_to_dict(self.cluster.url())["port"])

    def url(self) -> str:
        """Return the connection string without what is secret in it, starting as ``dsn`` does."""
        if self.cluster is None:
            assert self.given is not None
            return without_secrets(self.given)
        self._start(self.cluster)
        named = conninfo_to_dict(self.given or "").get("dbname")
        return self.cluster.url(str(named or DATABASE))

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Any]]:
        """Connect in autocommit mode, under the name of the command."""
        command = click.get_current_context().info_name
        with psycopg.connect(
            self.dsn(),
            autocommit=True,
            application_name=f"entasis {command}",
            client_encoding="UTF8",  # a name may be in any script
        ) as connection:
            pin(connection)
            yield connection

    def _start(self, cluster: Cluster) -> None:
        if not cluster.is_running():
            why = "no DATABASE_URL: " if self.given is None else ""
            note(f"{why}starting the embedded PostgreSQL of this checkout")
            cluster.start()


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
