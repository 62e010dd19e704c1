"""Commands for other programs: where the database is, psql on it, and the server's end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote
from typing import Any

import click
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.cli.output import fail, note, step
from entasis_db.cli.target import Target, no_server_yet
from entasis_db.direct import is_direct
from entasis_db.embedded import embedded_cluster, embedded_home, has_cluster
from entasis_db.ledger import installation
from entasis_db.libpq import libpq

# what libpq reads instead of a parameter that the connection string does not have
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "passfile": "PGPASSFILE",
}
_PATH = "entasis, public"
_MISLEADING = (
    "PGCHANNELBINDING",
    "PGGSSENCMODE",
    "PGHOSTADDR",
    "PGPASSWORD",
    "PGREQUIREAUTH",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGTARGETSESSIONATTRS",
)


@click.command()
@click.pass_obj
def url(target: Target) -> None:
    """Print the connection URL of the database, without a password.

    That of the embedded server names its password file, which psql, psycopg and other clients of
    libpq read; only you can. It has to run: entasis start.
    """
    shown = target.url()
    if shown != target.given and target.home is None:
        note("the password is left out; clients find one in PGPASSWORD or in ~/.pgpass")
    _print(shown)


@click.command()
@click.pass_obj
def env(target: Target) -> None:
    """Print what sets DATABASE_URL in a shell: eval "$(entasis env)".

    For the embedded server, which has to run, they also set PGHOST, PGPORT, PGUSER, PGDATABASE
    and PGPASSFILE, so that clients of libpq need no arguments, and unset what would lead them
    elsewhere. A DATABASE_URL that is set already stays as it is.
    """
    if target.home is None and target.from_environment:
        note("DATABASE_URL is set already, and stays as it is")
        return
    shown = target.url()
    lines = []
    if target.home is not None:
        parts = conninfo_to_dict(shown)
        lines += [f"unset {name}" for name in _MISLEADING if name in os.environ]
        lines += [f"export {name}={quote(str(parts[key]))}" for key, name in _VARIABLES.items()]
    elif shown != target.given:
        note("the password is left out: set PGPASSWORD too, or write it to ~/.pgpass")
    lines.append(f"export DATABASE_URL={quote(shown)}")
    _print("\n".join(lines))


def _print(text: str) -> None:
    # bytes: the locale may not have every character of a path
    click.echo(text.encode("utf-8"))


class _PassingOn(click.Command):
    """Takes all arguments as they are, but for one that asks for help alone."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read nothing: what another program is told is its own affair."""
        if len(args) == 1 and args[0] in ctx.help_option_names:
            return super().parse_args(ctx, args)
        ctx.params["arguments"] = tuple(args[1:] if args[:1] == ["--"] else args)
        return []


@click.command(cls=_PassingOn)
@click.argument("arguments", nargs=-1, metavar="[--] [ARGUMENTS]...")
@click.pass_obj
def psql(target: Target, arguments: tuple[str, ...]) -> None:
    r"""Open psql on the database, or hand it arguments: entasis psql -c '\dt'.

    All arguments are psql's. The password is out of sight, names are looked for in entasis and then
    in public, and the exit code is psql's. On a terminal a line says where one is.
    """
    dsn = target.dsn()
    where, path = _looked_at(target, dsn)
    if where and all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        note(where)
    program = "psql" if target.cluster is None else str(target.cluster.bindir / "psql")
    with libpq(_with_path(dsn) if path else dsn) as (environment, conninfo), _deaf():
        command = [program, f"--dbname={conninfo}", *arguments]
        try:
            code = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
        except FileNotFoundError:
            fail("psql is not on the PATH; install PostgreSQL's client programs")
    sys.exit(code if code >= 0 else 128 - code)


def _looked_at(target: Target, dsn: str) -> tuple[str | None, bool]:
    """Say where a session is, and whether its search path can be set as it begins.

    Not behind a pooler, which refuses ``options``. What cannot be reached, psql says itself.
    """
    embedded = "" if target.home is None else f", the embedded server in {target.home}"
    try:
        with psycopg.connect(dsn, autocommit=True, application_name="entasis psql") as connection:
            direct = is_direct(connection)
            info = connection.info
            number = f"{info.server_version // 10000}.{info.server_version % 10000}"
            return (
                f"database {info.dbname} on {info.host}:{info.port} as {info.user}: "
                f"PostgreSQL {number}, {_installed(connection)}{embedded}; "
                + (f"search path {_PATH}" if direct else "a pooler: names need their schema"),
                direct,
            )
    except psycopg.Error:
        return None, False


def _installed(connection: psycopg.Connection[Any]) -> str:
    try:
        found = installation(connection)
    except psycopg.errors.InsufficientPrivilege:
        return "a login without rights in Entasis DB"
    if found is None:
        return "Entasis DB is not installed"
    return f"Entasis DB {found.release or 'half made'}, engine {found.engine}"


def _with_path(dsn: str) -> str:
    """Have a session begin with our search path, unless it is told another one."""
    options = conninfo_to_dict(dsn).get("options") or os.environ.get("PGOPTIONS") or ""
    if "search_path" in str(options):
        return dsn
    return make_conninfo(dsn, options=f"{options} -c search_path={_PATH.replace(' ', '')}".strip())


@contextmanager
def _deaf() -> Iterator[None]:
    """Leave Ctrl-C to the program that is waited for: in psql it ends a query, and not psql."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # not SIG_IGN, which the program would inherit
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@click.command()
def start() -> None:
    """Start the embedded server, which entasis migrate has made."""
    home = embedded_home()
    if not has_cluster(home):
        no_server_yet(home)
    cluster = embedded_cluster()
    was_running = cluster.is_running()
    cluster.start()
    step(f"{'runs already' if was_running else 'started'}: {cluster.url()}")


@click.command()
def stop() -> None:
    """Stop the embedded server; its data stays."""
    home = embedded_home()
    if not has_cluster(home):
        step(f"there is no embedded server in {home}")
    elif embedded_cluster().stop():
        step(f"stopped; its data stays in {home}, and entasis start starts it again")
    else:
        step(f"not running; its data is in {home}")
