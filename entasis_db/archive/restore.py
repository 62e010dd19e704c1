"""The way back: archived ranges into a table beside their relation, or into the relation."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from entasis_db.archive import layout
from entasis_db.archive.export import fetch
from entasis_db.archive.progress import Event, Progress
from entasis_db.cursors import execute
from entasis_db.errors import ArchiveError
from entasis_db.ingest.read_ahead import read_ahead
from entasis_db.own_session import require_own_session
from entasis_db.runs import recorded
from entasis_db.store import Store

_ATTEMPTS = 5


@dataclass(frozen=True)
class Restored:
    """A range that is back, its count and checksum proven."""

    relation: str
    from_time: datetime
    to_time: datetime
    table: str
    """Table of schema entasis that holds it."""
    rows: int
    attached: bool
    """Whether it is a part of its relation again."""


@dataclass(frozen=True)
class _Archive:
    id: int
    from_time: datetime
    to_time: datetime
    row_count: int
    checksum: int
    dropped: bool


def restore(
    connection: psycopg.Connection[Any],
    store: Store,
    relation: str,
    from_time: datetime,
    to_time: datetime,
    *,
    attach: bool = False,
    hold: timedelta = timedelta(days=7),
    progress: Progress = lambda _: None,
    session_pooler: bool = False,
) -> list[Restored]:
    """Bring the archived rows of [from_time, to_time) back.

    ``connection`` is in autocommit mode and belongs to a member of entasis_admin. The rows come
    into one new table beside the relation; with ``attach``, each archived range that lies wholly
    within the bounds becomes a part of its relation again, and maintenance leaves it there for
    ``hold``. Candles are not touched by it. ``session_pooler`` says that a pooler in front keeps a
    session for each client.

    Raises SessionError behind any other pooler, and on a replica; ArchiveError when nothing, or not
    all, of the range is archived, or an archive is not what the manifest says; StoreError when the
    store fails.
    """
    if not connection.autocommit:
        raise ValueError("restore over a connection in autocommit mode: it commits as it goes")
    if relation not in layout.LAYOUTS:
        raise ArchiveError(f"{relation} is not archived; choose of {', '.join(layout.LAYOUTS)}")
    if not from_time < to_time:
        raise ArchiveError("the beginning of the range must lie before its end")
    require_own_session(connection, "restore", session_pooler=session_pooler)
    wanted = (from_time, to_time)
    with recorded(connection, "restore") as (_, detail):
        found = _restore(connection, store, relation, wanted, hold if attach else None, progress)
        detail.update(relation=relation, ranges=len(found), rows=sum(one.rows for one in found))
        return found


def _restore(
    connection: psycopg.Connection[Any],
    store: Store,
    relation: str,
    wanted: tuple[datetime, datetime],
    hold: timedelta | None,
    progress: Progress,
) -> list[Restored]:
    """Bring a range back: into a new table, or attached for so long."""
    from_time, to_time = wanted
    archives = _verified_archives(connection, relation, from_time, to_time)
    if not archives:
        raise ArchiveError(f"nothing of {relation} in that range is archived: entasis archive list")
    if hold is None:
        _refuse_gaps(archives, relation, from_time, to_time)
        table = _new_table(connection, relation, from_time, to_time)
        content = _fill(connection, store, relation, archives, table, wanted, progress)
        return [_proven(connection, relation, wanted, table, content, progress)]

    found = []
    for archive in archives:
        bounds = (archive.from_time, archive.to_time)
        if not (from_time <= archive.from_time and archive.to_time <= to_time):
            raise ArchiveError(
                f"the archived range from {archive.from_time} to {archive.to_time} lies only "
                "partly within the bounds: what is attached is a whole range"
            )
        if not archive.dropped or _is_there(connection, relation, archive):
            progress(Event(relation, *bounds, "is in the database already", final=True))
            continue
        found.append(_attached(connection, store, relation, archive, hold, progress))
    return found


def _verified_archives(
    connection: psycopg.Connection[Any], relation: str, from_time: datetime, to_time: datetime
) -> list[_Archive]:
    """Return the archives that meet a range, oldest first."""
    return [
        _Archive(*row)
        for row in execute(
            connection,
            "SELECT id, from_time, to_time, row_count, checksum, dropped_at IS NOT NULL"
            " FROM entasis.archives WHERE relation OPERATOR(pg_catalog.=) %s"
            " AND from_time OPERATOR(pg_catalog.<) %s AND to_time OPERATOR(pg_catalog.>) %s"
            " AND verified_at IS NOT NULL AND superseded_at IS NULL ORDER BY from_time",
            relation,
            to_time,
            from_time,
        )
    ]


def _refuse_gaps(
    archives: list[_Archive], relation: str, from_time: datetime, to_time: datetime
) -> None:
    reach = from_time
    for archive in archives:
        if archive.from_time > reach:
            break
        reach = archive.to_time
    if reach < to_time:
        raise ArchiveError(
            f"the archive of {relation} has nothing from {reach} on, up to the next range or "
            "the end: entasis archive list shows the ranges that there are"
        )


def _attached(
    connection: psycopg.Connection[Any],
    store: Store,
    relation: str,
    archive: _Archive,
    hold: timedelta,
    progress: Progress,
) -> Restored:
    bounds = (archive.from_time, archive.to_time)
    # a restore that was killed before its last step, or that was made beside the relation
    ready = execute(
        connection,
        "SELECT table_name FROM entasis.restores WHERE relation OPERATOR(pg_catalog.=) %s"
        " AND from_time OPERATOR(pg_catalog.=) %s"
        " AND to_time OPERATOR(pg_catalog.=) %s AND verified_at IS NOT NULL AND attached_at IS NULL"
        " AND pg_catalog.to_regclass(pg_catalog.format('entasis.%%I', table_name)) IS NOT NULL",
        relation,
        *bounds,
    )
    if ready:
        table = str(ready[0][0])
    else:
        table = _new_table(connection, relation, *bounds)
        content = _fill(connection, store, relation, [archive], table, bounds, progress)
        _proven(connection, relation, bounds, table, content, progress)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            execute(connection, "SELECT entasis_internal.attach_restored(%s, %s)", table, hold)
            break
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            progress(Event(relation, *bounds, f"{relation} is in use; attempt {attempt}"))
            if attempt == _ATTEMPTS:
                raise
            time.sleep(1)
    progress(Event(relation, *bounds, f"attached as {table}", final=True))
    return Restored(relation, *bounds, table, archive.row_count, attached=True)


def _is_there(connection: psycopg.Connection[Any], relation: str, archive: _Archive) -> bool:
    bounds = (archive.from_time, archive.to_time)
    there = execute(
        connection,
        "SELECT 1 FROM entasis_internal.partitions_of(%s)"
        " WHERE from_time OPERATOR(pg_catalog.<) %s AND to_time OPERATOR(pg_catalog.>) %s",
        relation,
        *reversed(bounds),
    )
    if not there or not archive.row_count:
        return bool(there)
    # a chunk may be there with nothing in it: whoever forces a refresh below the floor makes some
    time_column = sql.Identifier(layout.LAYOUTS[relation].time)
    query = sql.SQL(
        "SELECT 1 FROM {} WHERE {} OPERATOR(pg_catalog.>=) %s"
        " AND {} OPERATOR(pg_catalog.<) %s LIMIT 1"
    ).format(sql.Identifier("entasis", relation), time_column, time_column)
    return execute(connection, query, *bounds) != []


def _new_table(
    connection: psycopg.Connection[Any], relation: str, from_time: datetime, to_time: datetime
) -> str:
    ((table,),) = execute(
        connection,
        "SELECT entasis_internal.restore_begin(%s, %s, %s)",
        relation,
        from_time,
        to_time,
    )
    return str(table)


def _fill(
    connection: psycopg.Connection[Any],
    store: Store,
    relation: str,
    archives: list[_Archive],
    table: str,
    bounds: tuple[datetime, datetime],
    progress: Progress,
) -> layout.Content:
    """Copy the rows of the bounds into the table, and return what they came to.

    Every archive that is read is compared as a whole with the manifest first.
    """
    form = layout.LAYOUTS[relation]
    copied = layout.Content()
    statement = sql.SQL("COPY entasis.{} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, form.stored))
    )
    with tempfile.TemporaryDirectory(prefix="entasis-restore-") as folder:
        file = Path(folder) / "object.parquet"
        for archive in archives:
            whole = layout.Content()
            within = bounds[0] <= archive.from_time and archive.to_time <= bounds[1]
            # what does not come to the manifest's checksum is not committed
            with connection.transaction():
                execute(connection, "SET LOCAL timezone = 'UTC'")
                execute(connection, "SET LOCAL client_encoding = 'UTF8'")
                for key, sha256 in execute(
                    connection,
                    "SELECT key, sha256 FROM entasis.archive_objects"
                    " WHERE archive_id OPERATOR(pg_catalog.=) %s"
                    " ORDER BY part",
                    archive.id,
                ):
                    fetch(store, key, sha256, file)
                    groups = _prepared(form, file, bounds, whole, None if within else copied)
                    with (
                        connection.cursor() as cursor,
                        cursor.copy(statement) as copy,
                        read_ahead(groups) as ahead,
                    ):
                        for text, done in ahead:
                            copy.write(text)
                            progress(Event(relation, *bounds, "restoring", done))
                if (whole.rows, whole.checksum) != (archive.row_count, archive.checksum):
                    raise ArchiveError(
                        f"the archive of {relation} from {archive.from_time} to {archive.to_time} "
                        f"holds {whole.rows} rows that are not the {archive.row_count} of the "
                        "manifest; look for another copy of its objects"
                    )
            if within:
                copied.rows += whole.rows
                copied.checksum += whole.checksum
    return copied


def _prepared(
    form: layout.Layout,
    file: Path,
    bounds: tuple[datetime, datetime],
    whole: layout.Content,
    copied: layout.Content | None,
) -> Iterator[tuple[Any, int]]:
    """Yield the row groups of an object as COPY reads them, each with how many rows were read.

    All its rows are counted into ``whole``. With ``copied``, only those of the bounds are yielded,
    and counted into it.
    """
    for group in layout.row_groups(form, file):
        whole.add(form, group)
        if copied is not None:
            group = layout.between(form, group, *bounds)
            copied.add(form, group)
        yield layout.as_csv(form, group), whole.rows


def _proven(
    connection: psycopg.Connection[Any],
    relation: str,
    bounds: tuple[datetime, datetime],
    table: str,
    content: layout.Content,
    progress: Progress,
) -> Restored:
    ((verified,),) = execute(
        connection,
        "SELECT entasis_internal.restore_verified(%s, %s, %s)",
        table,
        content.rows,
        content.checksum,
    )
    if not verified:
        raise ArchiveError(f"entasis.{table} does not hold what was read; restore it again")
    progress(Event(relation, *bounds, f"restored into entasis.{table}", content.rows, final=True))
    return Restored(relation, *bounds, table, content.rows, attached=False)
