"""Commands for other programs: where the database is, psql on it, and the server's end."""

import os
import subprocess
import sys
from shlex import quote

import click
from psycopg.conninfo import conninfo_to_dict

from entasis_db.cli.output import fail, note, step
from entasis_db.cli.target import Target
from entasis_db.embedded import embedded_cluster
from entasis_db.libpq import libpq

# what libpq reads instead of a parameter that the connection string does not have
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "passfile": "PGPASSFILE",
}
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
    libpq read; only you can. The server is started if it does not run.
    """
    shown = target.url()
    if shown != target.given and target.cluster is None:
        note("the password is left out; clients find one in PGPASSWORD or in ~/.pgpass")
    _print(shown)


@click.command()
@click.pass_obj
def env(target: Target) -> None:
    """Print what sets DATABASE_URL in a shell: eval "$(entasis env)".

    For the embedded server, which is started if it does not run, they also set PGHOST, PGPORT,
    PGUSER, PGDATABASE and PGPASSFILE, so that clients of libpq need no arguments, and unset what
    would lead them elsewhere. A DATABASE_URL that is set already stays as it is.
    """
    if target.cluster is None and target.from_environment:
        note("DATABASE_URL is set already, and stays as it is")
        return
    shown = target.url()
    lines = []
    if target.cluster is not None:
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


@click.command()
@click.pass_obj
def psql(target: Target) -> None:
    """Open psql on the database, the password out of sight."""
    program = "psql" if target.cluster is None else str(target.cluster.bindir / "psql")
    with libpq(target.dsn()) as (environment, conninfo):
        command = [program, conninfo]
        try:
            sys.exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603
        except FileNotFoundError:
            fail("psql is not on the PATH; install PostgreSQL's client programs")


@click.command()
def stop() -> None:
    """Stop the embedded server of this checkout; its data stays."""
    stopped = embedded_cluster().stop()
    step("stopped; entasis migrate or make migrate starts it again" if stopped else "not running")
