"""Making a database's objects entasis_owner's again, and refusing what Entasis DB did not make.

A dump that is restored without roles leaves every object to whoever restored it, and whatever runs
as owner then lacks rights. What is adopted is known by its name: a stranger's function would run
with its new owner's rights.
"""

from collections.abc import Set, Sized
from typing import Any

import psycopg
from psycopg import errors, sql

from entasis_db import catalog
from entasis_db.cursors import execute
from entasis_db.drift import listed, overloads, strays
from entasis_db.errors import MigrationError
from entasis_db.expected import expected, tables_of
from entasis_db.ledger import exists, installation, migration_files, recorded

_YOYO = tuple(f"entasis_migrations._yoyo_{name}" for name in ("migration", "log", "version"))
_LEDGER = (*_YOYO, "entasis_migrations.checksums", "entasis_migrations.yoyo_lock")
_BACKUP = (
    "Restore it from a backup of this database, or migrate a new database and load your data there"
)
# of engine timescaledb, made as entasis_jobs
_OF_JOBS = "entasis_internal.job_runs"


def refuse_foreign(connection: psycopg.Connection[Any]) -> None:
    """Raise MigrationError when a schema of one of our names holds what is none of ours."""
    if installation(connection) or any(exists(connection, name) for name in _LEDGER):
        return
    found = catalog.objects(connection)
    # a run that was killed early has left some that are the owner's
    strangers = [e for e in found if e.kind != "SCHEMA" and e.owner != "entasis_owner"]
    if strangers:
        schemas = (each for each in found if each.kind == "SCHEMA")
        schema = next(each for each in schemas if each.name == strangers[0].schema)
        held = listed(each.identity for each in strangers)
        raise MigrationError(
            f"this database has a schema {schema.identity} that Entasis DB did not make: it belongs"
            f" to {schema.owner} and holds {held}. Rename it (ALTER SCHEMA {schema.identity} RENAME"
            " TO …), or migrate another database"
        )


def refuse_incomplete_ledger(connection: psycopg.Connection[Any]) -> None:
    """Raise MigrationError when tables of the ledger of migrations are missing."""
    gone = [name for name in _YOYO if not exists(connection, name)]
    # yoyo makes all three in one transaction, and the first migration makes the rest
    if gone and (len(gone) < len(_YOYO) or installation(connection)):
        raise MigrationError(
            f"the ledger of this database's migrations is incomplete: {listed(gone)} "
            f"{_are_missing(gone)}. {_BACKUP}"
        )


def refuse_missing_tables(connection: psycopg.Connection[Any], engine: str) -> None:
    """Raise MigrationError when what applied migrations made is not all there."""
    files = migration_files(engine)
    there = {each.qualified for each in catalog.objects(connection)}
    missing = {
        name
        for migration in recorded(connection, first=next(iter(files)))
        if migration in files
        for name in tables_of(files[migration])
    } - there
    if missing:
        raise MigrationError(
            f"{listed(missing)} {_are_missing(missing)}, although all that applied migrations "
            f"made should be there. {_BACKUP}"
        )


def refuse_unnamed_engine(connection: psycopg.Connection[Any]) -> None:
    """Raise MigrationError when migrations are on record, and nothing says of which engine."""
    first, second, *_ = migration_files("postgresql")
    if second in recorded(connection, first=first) and installation(connection) is None:
        raise MigrationError(
            "migrations of this database are on record, and entasis.installation, which says of "
            f"which engine they are, has no row. {_BACKUP}"
        )


def are_strangers(connection: psycopg.Connection[Any], names: Set[str]) -> bool:
    """Say whether some of these objects of ours belong to others."""
    found = strays(catalog.objects(connection), expected("postgresql"))
    return any(each.qualified in names for each, _ in found)


def adopt(connection: psycopg.Connection[Any], engine: str, only: Set[str] | None = None) -> None:
    """Give entasis_owner what others own of what ``schema/`` and yoyo make, or ``only`` some of it.

    Acts as the login. Raises MigrationError when that may not, or when it cannot be told which of
    two routines is ours.
    """
    wanted = expected(engine)
    found = catalog.objects(connection)
    if several := list(overloads(found, wanted)):
        said, mend = several[0]
        raise MigrationError(f"{said}: {mend}, and migrate again")
    for each, ours in strays(found, wanted):
        if not ours or (only is not None and each.qualified not in only):
            continue
        is_aggregate = each.kind == "VIEW" and each.qualified in wanted.tables
        of_jobs = engine == "timescaledb" and each.qualified == _OF_JOBS
        owner = "entasis_jobs" if of_jobs else "entasis_owner"
        try:
            execute(
                connection,
                sql.SQL("ALTER {} {} OWNER TO {}").format(
                    sql.SQL("MATERIALIZED VIEW" if is_aggregate else each.kind),
                    sql.SQL(each.identity),
                    sql.Identifier(owner),
                ),
            )
        except errors.InsufficientPrivilege as error:
            raise MigrationError(
                f"{each.identity} belongs to {each.owner}, and this login may not give it to "
                f"{owner}: {error.diag.message_primary}. Migrate as a superuser"
            ) from error
    if connection.info.parameter_status("is_superuser") != "on":
        return
    for trigger in catalog.triggers(connection):
        # those of foreign keys; the others are enabled by their table's owner
        if trigger.internal and not trigger.enabled:
            execute(
                connection,
                sql.SQL("ALTER TABLE {} ENABLE TRIGGER {}").format(
                    sql.SQL(trigger.relation), sql.Identifier(trigger.name)
                ),
            )


def _are_missing(names: Sized) -> str:
    return "is missing" if len(names) == 1 else "are missing"
