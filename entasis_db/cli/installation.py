"""Commands that install Entasis DB in a database, and show what is installed."""

from itertools import count
from pathlib import Path
from shlex import quote

import click
from psycopg.conninfo import conninfo_to_dict
from rich.table import Table

from entasis_db import migrate as migration
from entasis_db.cli import arguments
from entasis_db.cli.output import fail, note, print_whole, step, when
from entasis_db.cli.output.rows import Form, prints, rows_of, show
from entasis_db.cli.target import Target, Use
from entasis_db.errors import DraftError


@click.command()
@click.option("--engine", help="Name the engine at the first migration, instead of detecting it.")
@arguments.session_pooler
@click.pass_obj
def migrate(target: Target, engine: str | None, session_pooler: bool) -> None:
    """Bring the database to this release; safe to repeat."""
    try:
        found = migration.migrate(
            target.dsn(Use.INSTALLS), engine=engine, progress=step, session_pooler=session_pooler
        )
    except DraftError as error:
        fail(_advice(target, str(error)))
    step(f"the database is at release {found.release}, engine {found.engine}")
    if target.home is not None:
        parts = conninfo_to_dict(target.url())
        step(
            "\nTo look around:  make psql   (or: entasis psql)\n"
            'or any client:   eval "$(entasis env)" sets DATABASE_URL and what psql reads; else\n'
            f"                 host {parts['host']}, port {parts['port']}, user {parts['user']}, "
            f"database {parts['dbname']}, password in {target.home / 'password'}\n"
            "To stop it:      make stop   (or: entasis stop; the data stays)"
        )


_MIGRATIONS = rows_of(migration.Migration, as_table=False)


@click.command()
@prints(_MIGRATIONS)
@click.pass_obj
def status(target: Target, form: Form) -> None:
    """Show the engine, the release, and which migrations the database has."""
    with target.connect() as connection:
        found = migration.status(connection)
    if found.engine is None and any(item.applied_at for item in found.migrations):
        fail("entasis.installation has no row, and migrations are on record. Ask: entasis migrate")
    if found.engine is None:
        fail("Entasis DB is not installed in this database. Install it with: entasis migrate")
    # beside the rows, for those who do not read them by a program
    tell = step if form.for_people else note
    applied = "pending" if found.applied_at is None else when(found.applied_at)
    tell(f"engine {found.engine}, release {found.release}, applied {applied}")
    if target.home is not None:
        tell(f"embedded server in {target.home}")
    show(form, _MIGRATIONS, found.migrations, lambda: print_whole(_table(found.migrations)))
    for warning in found.warnings:
        tell(f"warning: {warning}")
    if found.refusal:
        fail(_advice(target, found.refusal))
    if found.pending:
        fail(f"{len(found.pending)} migrations are pending. Apply them with: entasis migrate")
    for change in found.drift:
        tell(f"changed by hand: {change}")
    if found.drift:
        fail(
            f"{len(found.drift)} things are not as a migration leaves them. "
            "Each line says what mends it"
        )


def _table(migrations: tuple[migration.Migration, ...]) -> Table:
    table = Table("migration", "applied")
    for item in migrations:
        another = ", with another text" if item.differs else ""
        applied = "pending" if item.applied_at is None else when(item.applied_at)
        table.add_row(item.id, applied + another)
    return table


def _advice(target: Target, refusal: str) -> str:
    """Add to the refusal of another draft's database what to do with an embedded server."""
    if target.home is None:
        return refusal
    home = str(target.home)
    # mv would put it into a folder of that name that an earlier draft left
    names = (home + (f".draft-{number}" if number > 1 else ".draft") for number in count(1))
    move = f"mv {quote(home)} {quote(next(name for name in names if not Path(name).exists()))}"
    return (
        f"{refusal}. This server is the embedded one of this checkout: entasis stop, {move} "
        "(which keeps its data), and entasis migrate makes a new one"
    )


@click.command()
def rollback() -> None:
    """Refused: migrations are not taken back."""
    fail(
        "migrations of Entasis DB are not rolled back, because taking one back would drop data. "
        "Fix forward with a new migration, or restore a backup"
    )
