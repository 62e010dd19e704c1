"""The rows of a portable dump: a file of COPY's text for each relation, compressed."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from entasis_db.citus import tell_nodes
from entasis_db.copies.content import columns
from entasis_db.copies.dumped import ROWS
from entasis_db.copies.tables import BROUGHT, LEDGER, LEFT
from entasis_db.cursors import Cursor, execute
from entasis_db.errors import CopyError

Progress = Callable[[str], None]

_LEVEL = 1  # of compression: the next ones take several times as long
_BLOCK = 1 << 16  # bytes

_OPEN = """
    SELECT pg_catalog.format('%s is reopened from %s to %s', r.relation, r.from_time, r.to_time)
    FROM entasis.reopened AS r
    UNION ALL
    SELECT pg_catalog.format('%s is restored from the archive into %I', r.relation, r.table_name)
    FROM entasis.restores AS r
"""


def refuse_unknown(connection: psycopg.Connection[Any]) -> None:
    """Raise CopyError when a database has what a portable dump would leave behind."""
    for (what,) in execute(connection, _OPEN):
        raise CopyError(
            f"{what}, and would come back as if it had never been dropped: take the dump when "
            "maintenance has dropped it again (its hold, keep_until or held_until, says when)"
        )
    known = {*BROUGHT, *LEFT}
    for name in columns(connection):
        if name in known or name.startswith((LEDGER, "entasis.ohlcv_")):
            continue
        raise CopyError(
            f"{name} is no table of this release, and a portable dump would leave it behind: move "
            "it to a schema of its own, or drop it"
        )


def file_of(folder: Path, name: str) -> Path:
    """Return the file that holds a relation's rows."""
    return folder / ROWS / f"{name}.copy.gz"


def read_rows(
    connection: psycopg.Connection[Any], folder: Path, progress: Progress
) -> dict[str, list[str]]:
    """Write the rows of every relation that another database takes over.

    Returns the columns of each, in the order of its file. The transaction is the caller's.
    """
    (folder / ROWS).mkdir(mode=0o700)
    found = columns(connection)
    written = {}
    for name in BROUGHT:
        written[name] = [column for column, _ in found[name]]
        progress(f"writing {name}")
        # of a view it takes a query
        query = sql.SQL("COPY (SELECT {} FROM {} AS r) TO STDOUT").format(
            sql.SQL(", ").join(sql.Identifier("r", column) for column in written[name]),
            sql.Identifier(*name.split(".")),
        )
        with (
            gzip.open(file_of(folder, name), "wb", _LEVEL) as file,
            Cursor(connection) as cursor,
            cursor.copy(query) as copy,
        ):
            for block in copy:
                file.write(block)
    return written


@contextmanager
def without_triggers(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Run a transaction in which no trigger fires, nor a foreign key is looked at."""
    with connection.transaction():
        tell_nodes(connection)
        execute(connection, "SET LOCAL session_replication_role = replica")
        yield


def write_rows(
    connection: psycopg.Connection[Any],
    folder: Path,
    name: str,
    written: list[str],
    into: sql.Identifier | None = None,
) -> None:
    """Copy the rows of a relation from its file, into the relation or another table."""
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(
        into or sql.Identifier(*name.split(".")), sql.SQL(", ").join(map(sql.Identifier, written))
    )
    with (
        gzip.open(file_of(folder, name), "rb") as file,
        Cursor(connection) as cursor,
        cursor.copy(query) as copy,
    ):
        while block := file.read(_BLOCK):
            copy.write(block)
