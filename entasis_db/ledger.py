"""What a database was made from: which migrations it has, and whether this release has their texts.

yoyo knows a migration by the name of its file, so a database that was made before the file was
edited looks up to date to it. ``entasis_migrations.checksums`` holds what was applied under each
name. Its rows are written by a last step of each migration, in the migration's own transaction:
whatever is killed, one is never there without the other.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from yoyo.migrations import Migration as YoyoMigration
from yoyo.migrations import MigrationStep

from entasis_db import __version__
from entasis_db.cursors import Cursor
from entasis_db.drift import drift
from entasis_db.engine import warnings
from entasis_db.errors import DraftError, MigrationError
from entasis_db.resources import sql_root

SCHEMA = "entasis_migrations"
"""Where yoyo's tables are, and the checksums."""


@dataclass(frozen=True)
class Migration:
    """One migration, of this release or of the database."""

    id: str
    """Its number and name."""
    applied_at: datetime | None
    """UTC; None when it is pending."""
    differs: bool = False
    """Whether the database has it with another text than this release's, or without a checksum."""


@dataclass(frozen=True)
class Installation:
    """The row of entasis.installation."""

    engine: str
    release: str | None
    applied_at: datetime | None


@dataclass(frozen=True)
class Status:
    """What a database is, compared with what this release would make of it."""

    engine: str | None
    """None when Entasis DB is not installed there."""
    release: str | None
    """The release whose schema/ was applied last; None before the first run came to its end."""
    applied_at: datetime | None
    """When that was; UTC."""
    migrations: tuple[Migration, ...]
    """This release's and the database's, in the order of their numbers."""
    warnings: tuple[str, ...]
    """What is known to go wrong on this server, a sentence each, with what mends it."""
    drift: tuple[str, ...] = ()
    """What is not as ``migrate`` leaves it (roles, owners, row-level security, policies, triggers,
    rights), a line each, with what mends it."""

    @property
    def pending(self) -> tuple[str, ...]:
        """The migrations that the next run will apply."""
        return tuple(m.id for m in self.migrations if m.applied_at is None)

    @property
    def differing(self) -> tuple[str, ...]:
        """The migrations that the database has with another text: it is another draft's."""
        return tuple(m.id for m in self.migrations if m.differs)

    @property
    def refusal(self) -> str | None:
        """Why ``migrate`` refuses this database as another draft's, and what to do; else None."""
        return _refusal(self.differing, self.release) if self.differing else None


def status(connection: psycopg.Connection[Any]) -> Status:
    """Compare a database with this release; changes nothing.

    Needs only the rights of entasis_reader.
    """
    installed = installation(connection)
    files = migration_files(installed.engine if installed else "postgresql")
    found: dict[str, tuple[datetime | None, str | None]] = {}
    if exists(connection, "entasis.migrations"):
        # a draft's view may lack the column
        query = (
            "SELECT migration, applied_at,"
            " pg_catalog.to_jsonb(m) OPERATOR(pg_catalog.->>) 'sha256'"
            " FROM entasis.migrations AS m"
        )
        found = {
            name: (at, sha256) for name, at, sha256 in Cursor(connection).execute(query).fetchall()
        }
    differing = _differing({name: sha256 for name, (_, sha256) in found.items()}, files)
    return Status(
        engine=installed.engine if installed else None,
        release=installed.release if installed else None,
        applied_at=installed.applied_at if installed else None,
        migrations=tuple(
            Migration(name, found[name][0] if name in found else None, name in differing)
            for name in sorted({*files, *found})
        ),
        warnings=warnings(connection),
        # before the first run came to its end, there are few objects
        drift=drift(connection, installed.engine) if installed and installed.applied_at else (),
    )


def refuse_other_texts(connection: psycopg.Connection[Any], engine: str) -> None:
    """Raise unless every migration that the database has is one of this release, word for word.

    Acts as entasis_owner. Raises DraftError when one has another text, and MigrationError when the
    database has one that only a later release knows.
    """
    files = migration_files(engine)
    found = recorded(connection, first=next(iter(files)))
    if differing := _differing(found, files):
        installed = installation(connection)
        raise DraftError(_refusal(sorted(differing), installed.release if installed else None))
    if unknown := sorted(set(found) - set(files)):
        raise MigrationError(
            f"this database has migrations that release {__version__} does not know "
            f"({', '.join(unknown)}): a later release made them. Upgrade entasis-db"
        )


def record_text(migration: YoyoMigration) -> None:
    """Give a migration one more step, which records the checksum of its file."""
    row = [migration.id, checksum(Path(migration.path))]

    def record(connection: psycopg.Connection[Any]) -> None:
        # another text under this name was refused before, so a row that is there is the same
        connection.execute(
            "INSERT INTO entasis_migrations.checksums (migration, sha256) VALUES (%s, %s)"
            " ON CONFLICT (migration) DO NOTHING",
            row,
        )

    migration.load()
    migration.steps.append(MigrationStep(len(migration.steps), record, None))


def checksum(file: Path) -> str:
    """Return the SHA-256 of a text file, the same however git has written its line endings."""
    return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def migration_folders(engine: str) -> list[Path]:
    """Return the folders whose migrations make up one engine's."""
    return [sql_root() / "migrations" / folder for folder in ("core", engine)]


def migration_files(engine: str) -> Mapping[str, Path]:
    """Return this release's migrations for one engine, by name, in their order."""
    files = [file for folder in migration_folders(engine) for file in folder.glob("*.sql")]
    return {file.stem: file for file in sorted(files, key=lambda file: file.stem)}


def installation(connection: psycopg.Connection[Any]) -> Installation | None:
    """Read what was installed; None when nothing was."""
    if not exists(connection, "entasis.installation", "engine", "release", "applied_at"):
        return None
    with Cursor(connection) as cursor:
        row = cursor.execute(
            "SELECT engine, release, applied_at FROM entasis.installation"
        ).fetchone()
    return None if row is None else Installation(*row)


def exists(connection: psycopg.Connection[Any], relation: str, *columns: str) -> bool:
    """Tell whether there is a relation of this qualified name, with these columns."""
    query = (
        "SELECT pg_catalog.to_regclass(%s) IS NOT NULL, ARRAY("
        "SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a"
        " WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)::pg_catalog.oid)"
    )
    row = Cursor(connection).execute(query, [relation, relation]).fetchone()
    return row is not None and bool(row[0]) and set(columns) <= set(row[1])


def recorded(connection: psycopg.Connection[Any], first: str) -> dict[str, str | None]:
    """Return the checksum of each migration that was applied, whether or not yoyo recorded it."""
    found: dict[str, str | None] = {}
    if exists(connection, "entasis_migrations._yoyo_migration"):
        rows = connection.execute("SELECT migration_id FROM entasis_migrations._yoyo_migration")
        found |= {name: None for (name,) in rows.fetchall()}
    if exists(connection, "entasis_migrations.checksums"):
        rows = connection.execute("SELECT migration, sha256 FROM entasis_migrations.checksums")
        found |= dict(rows.fetchall())
    elif exists(connection, "entasis.installation"):
        # the first migration makes both tables: it was one of a draft that kept no checksums
        found.setdefault(first, None)
    return found


def _differing(recorded: Mapping[str, str | None], files: Mapping[str, Path]) -> set[str]:
    """Return the recorded migrations that have a number of ours, and another name or text."""
    numbers = {_number(name) for name in files}
    return {
        name
        for name, sha256 in recorded.items()
        if (sha256 != checksum(files[name]) if name in files else _number(name) in numbers)
    }


def _number(name: str) -> str:
    return name.partition(".")[0]


def _refusal(differing: Iterable[str], made_by: str | None) -> str:
    return (
        f"this database was made by another draft of release {made_by or __version__}: it has "
        f"{', '.join(differing)} with another text, and cannot be brought to this one. Keep it as "
        "it is or back it up (pg_dump), migrate a new database, and load your data there again"
    )
