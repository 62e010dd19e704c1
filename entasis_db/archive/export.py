"""Archiving: each range is written, read back, verified and recorded.

It drops nothing: that is for ``maintain``, which compares the rows with the record once more.
"""

import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from entasis_db.archive import layout
from entasis_db.archive.database import copied, meanwhile
from entasis_db.archive.progress import Event, Progress
from entasis_db.citus import is_citus
from entasis_db.cursors import execute
from entasis_db.errors import ArchiveError, StoreError
from entasis_db.own_session import require_own_session
from entasis_db.runs import recorded
from entasis_db.search_path import untyped
from entasis_db.store import Store, probe

_ATTEMPTS = 3


@dataclass(frozen=True)
class Archived:
    """A range whose archive was verified and recorded."""

    relation: str
    from_time: datetime
    to_time: datetime
    rows: int
    bytes: int
    """Size of its objects in the store."""


class _Range(NamedTuple):
    relation: str
    from_time: datetime
    to_time: datetime

    def event(self, step: str, rows: int = 0, *, final: bool = False) -> Event:
        return Event(*self, step, rows, final)


@dataclass(frozen=True)
class _Object:
    part: int
    key: str
    bytes: int
    row_count: int
    sha256: str


def archive(
    connection: psycopg.Connection[Any],
    store: Store,
    progress: Progress = lambda _: None,
    *,
    new_store: bool = False,
    session_pooler: bool = False,
) -> list[Archived]:
    """Archive every range of an archived relation that is past its keep period and not archived.

    ``connection`` is in autocommit mode and belongs to a member of entasis_admin. Ranges whose rows
    changed since they were archived are archived again. Killed at any moment, the next run
    completes it and removes what was left in the store. Memory stays below a fixed bound: three row
    groups of rows, and one object at a time in a temporary file. ``session_pooler`` says that a
    pooler in front keeps a session for each client.

    Before the first range is recorded, the store is tried: it has to take, give back, list and
    delete a few bytes, to be where the manifest's archives are, and to hold the newest of them.
    ``new_store`` goes on in one that is another, or lacks what it had.

    Raises SessionError behind any other pooler, and on a replica; StoreError when the store fails
    or is a wrong one, and ArchiveError at the end when a range could not be archived; the others
    are.
    """
    if not connection.autocommit:
        raise ValueError("archive over a connection in autocommit mode: it commits as it goes")
    require_own_session(connection, "archive", session_pooler=session_pooler)
    found: list[Archived] = []
    with _alone(connection), recorded(connection, "archive") as (_, detail):
        failures = _archive_expired(connection, store, progress, found, new_store)
        detail.update(
            ranges=len(found), rows=sum(a.rows for a in found), bytes=sum(a.bytes for a in found)
        )
        if failures:
            raise ArchiveError(f"{len(failures)} ranges could not be archived; {failures[0]}")
    return found


def _archive_expired(
    connection: psycopg.Connection[Any],
    store: Store,
    progress: Progress,
    found: list[Archived],
    new_store: bool,
) -> list[str]:
    """Archive into ``found``, and return what could not be archived and why."""
    failures: list[str] = []
    tried = False
    _clean(connection, store, progress)
    execute(connection, "SELECT entasis_internal.record_partitions()")
    for relation, start, end in execute(connection, _EXPIRED):
        of = _Range(relation, start, end)
        try:
            if _needed(connection, of, progress):
                if not tried:
                    _try(connection, store, new_store)
                    tried = True
                found.append(_archive(connection, store, of, progress))
        except StoreError:
            raise
        except (ArchiveError, psycopg.errors.DataError) as error:
            # a value without an exact form; the other ranges are not held up by it
            progress(of.event(f"not archived: {error}", final=True))
            failures.append(f"{of.event('not archived')}: {error}")
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            progress(of.event(f"left alone: {error.diag.message_primary}", final=True))
    _clean(connection, store, progress)
    return failures + [
        f"{name} has no lower bound; attach it again with one"
        for (name,) in execute(connection, _UNBOUNDED)
    ]


# Of a partition that a killed maintenance left half detached, its relation shows no rows: the next
# maintenance completes that.
_EXPIRED = """
    SELECT e.relation, e.from_time, e.to_time
    FROM entasis_internal.expired_partitions() AS e
    INNER JOIN entasis.keep_periods AS k ON e.relation OPERATOR(pg_catalog.=) k.relation
    LEFT OUTER JOIN pg_catalog.pg_inherits AS i ON e.partition_oid OPERATOR(pg_catalog.=) i.inhrelid
    WHERE k.archived AND pg_catalog.isfinite(e.from_time) AND i.inhdetachpending IS NOT TRUE
    ORDER BY e.from_time, e.relation
"""

_UNBOUNDED = """
    SELECT e.partition_name
    FROM entasis_internal.expired_partitions() AS e
    INNER JOIN entasis.keep_periods AS k ON e.relation OPERATOR(pg_catalog.=) k.relation
    WHERE k.archived AND NOT pg_catalog.isfinite(e.from_time)
    ORDER BY e.relation
"""


@contextmanager
def _alone(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Let one archive run go on at a time: another would take its objects for a dead one's."""
    ((holder,),) = execute(connection, "SELECT entasis_internal.take_lease('archive')")
    if holder is not None:
        raise ArchiveError(
            f"another archive run of this database is going on ({holder}); wait for its end"
        )
    try:
        yield
    finally:
        if not connection.closed:
            execute(connection, "SELECT entasis_internal.release_lease('archive')")


def _try(connection: psycopg.Connection[Any], store: Store, new_store: bool) -> None:
    """Raise StoreError for a store that cannot be written to, or is not the archive's."""
    probe(store)
    others = [
        str(location)
        for (location,) in execute(
            connection,
            "SELECT location FROM entasis.archives"
            " WHERE verified_at IS NOT NULL AND superseded_at IS NULL"
            " GROUP BY location ORDER BY pg_catalog.max(id) DESC",
        )
    ]
    if new_store or not others:
        return
    if store.location not in others:
        raise StoreError(
            f"the archive of this database is in {others[0]}, not in {store.location}: name that "
            "one, or go on in this one with --new-store"
        )
    newest = execute(
        connection,
        "SELECT o.key, o.bytes FROM entasis.archives AS a"
        " INNER JOIN entasis.archive_objects AS o ON a.id OPERATOR(pg_catalog.=) o.archive_id"
        " WHERE a.location OPERATOR(pg_catalog.=) %s"
        " AND a.verified_at IS NOT NULL AND a.superseded_at IS NULL"
        " ORDER BY a.id DESC, o.part LIMIT 1",
        store.location,
    )
    for key, size in newest:
        if store.sizes(key).get(key) != size:
            raise StoreError(
                f"{store.location} lacks {key}, which is archived there: find out where it is (is"
                " the folder mounted?), or go on with --new-store"
            )


def _clean(connection: psycopg.Connection[Any], store: Store, progress: Progress) -> None:
    """Remove what killed runs left, and archives whose successors are verified."""
    for number, relation, start, end, version in execute(
        connection,
        "SELECT id, relation, from_time, to_time, version FROM entasis.archives"
        " WHERE location OPERATOR(pg_catalog.=) %s"
        " AND (verified_at IS NULL OR superseded_at IS NOT NULL) ORDER BY id",
        store.location,
    ):
        _forget(connection, store, number, _Range(relation, start, end), version)
        progress(Event(relation, start, end, f"removed version {version}", final=True))


def _forget(
    connection: psycopg.Connection[Any], store: Store, number: int, of: _Range, version: UUID
) -> None:
    store.discard(layout.key_prefix(of.relation, of.from_time, of.to_time, version))
    execute(connection, "SELECT entasis_internal.archive_forget(%s)", number)


def _needed(connection: psycopg.Connection[Any], of: _Range, progress: Progress) -> bool:
    """Say whether a range has to be archived, for the first time or again."""
    current = execute(
        connection,
        "SELECT row_count, checksum, stale_at IS NOT NULL FROM entasis.archives"
        " WHERE relation OPERATOR(pg_catalog.=) %s AND from_time OPERATOR(pg_catalog.=) %s"
        " AND to_time OPERATOR(pg_catalog.=) %s"
        " AND verified_at IS NOT NULL AND superseded_at IS NULL",
        *of,
    )
    if not current:
        return True
    ((count, checksum, stale),) = current
    if stale:
        return True
    now = execute(
        connection,
        "SELECT row_count, checksum FROM entasis_internal.count_and_checksum("
        "pg_catalog.to_regclass(pg_catalog.format('entasis.%%I', %s::pg_catalog.text)), %s, %s,"
        " %s)",
        of.relation,
        *of,
    )
    if now == [(count, checksum)]:
        return False
    progress(of.event("rows changed since it was archived", final=True))
    execute(connection, "SELECT entasis_internal.mark_archive_stale(%s, %s, %s)", *of)
    return True


def _archive(
    connection: psycopg.Connection[Any], store: Store, of: _Range, progress: Progress
) -> Archived:
    for _ in range(_ATTEMPTS):
        # on record before anything is written, so that nothing is left in the store unknown
        ((number, version),) = execute(
            connection,
            "SELECT id, version FROM entasis_internal.archive_begin(%s, %s, %s, %s)",
            *of,
            store.location,
        )
        objects = []
        content = layout.Content()
        with tempfile.TemporaryDirectory(prefix="entasis-archive-") as folder:
            for object_, file in _written(connection, of, version, Path(folder), progress):
                store.put(object_.key, file)
                file.unlink()
                objects.append(object_)
            progress(of.event("comparing with the database", sum(o.row_count for o in objects)))
            with meanwhile(connection, "SELECT entasis_internal.archive_counted(%s)", number):
                for object_ in objects:
                    _read_back(store, of, object_, content, Path(folder) / "read.parquet")
                    progress(of.event("reading back", content.rows))
        ((verified,),) = execute(
            connection,
            "SELECT entasis_internal.archive_verified(%s, %s, %s, %s)",
            number,
            content.rows,
            content.checksum,
            json.dumps([asdict(o) for o in objects]),
        )
        if verified:
            size = sum(o.bytes for o in objects)
            progress(of.event(f"archived, {size:,} bytes", content.rows, final=True))
            return Archived(*of, rows=content.rows, bytes=size)
        _forget(connection, store, number, of, version)
        progress(of.event("rows changed while it was written; once more", final=True))
    raise ArchiveError(
        f"its rows changed while it was written, {_ATTEMPTS} times; the next run tries again"
    )


def _written(
    connection: psycopg.Connection[Any], of: _Range, version: UUID, folder: Path, progress: Progress
) -> Iterator[tuple[_Object, Path]]:
    """Write the range into files of one object each; the caller takes each before the next."""
    form = layout.LAYOUTS[of.relation]
    prefix = layout.key_prefix(of.relation, of.from_time, of.to_time, version)
    about = {
        "entasis.relation": of.relation,
        "entasis.from_time": of.from_time.isoformat(),
        "entasis.to_time": of.to_time.isoformat(),
        "entasis.version": str(version),
    }
    writer: layout.ObjectWriter | None = None
    part = done = 0

    def finished(writer: layout.ObjectWriter) -> tuple[_Object, Path]:
        writer.close()
        file = writer.file
        key = f"{prefix}{part:04}.parquet"
        return _Object(part, key, file.stat().st_size, writer.rows, layout.sha256(file)), file

    try:
        for table in _tables(connection, of, form):
            if writer is not None and writer.rows >= layout.OBJECT_ROWS:
                yield finished(writer)
                writer = None
                part += 1
            if writer is None:
                writer = layout.ObjectWriter(form, folder / f"{part}.parquet", about)
            writer.write(table)
            done += table.num_rows
            progress(of.event("writing", done))
        if writer is not None:
            last, writer = writer, None
            yield finished(last)
    finally:
        if writer is not None:
            writer.close()


def _queries(
    connection: psycopg.Connection[Any], of: _Range, form: layout.Layout
) -> list[sql.Composed]:
    """Return what reads the range in the order of its layout, one COPY after the other.

    Citus keeps what a query answers on the coordinator's disk before it sends the first row. There
    it is a query for each symbol, which its node sorts; what changes meanwhile, verifying finds.
    """
    parts: dict[str, sql.Composable] = {
        "columns": sql.SQL(form.expressions()),  # of constants only
        "relation": sql.Identifier(of.relation),
        "time": sql.Identifier(form.time),
        "start": sql.Literal(untyped(of.from_time)),
        "end": sql.Literal(untyped(of.to_time)),
        "order": sql.SQL(", ").join(sql.Identifier("r", name) for name in form.order),
        "first": sql.Identifier("r", form.order[0]),
    }
    which: list[sql.Composable] = [sql.SQL("true")]
    if is_citus(connection):
        names = sql.SQL(
            "SELECT DISTINCT {first} FROM entasis.{relation} AS r"
            " WHERE r.{time} OPERATOR(pg_catalog.>=) {start}"
            " AND r.{time} OPERATOR(pg_catalog.<) {end} ORDER BY {first}"
        ).format(**parts)
        which = [
            sql.SQL("{first} OPERATOR(pg_catalog.=) {name}").format(**parts, name=sql.Literal(name))
            for (name,) in execute(connection, names)
        ]
    return [
        sql.SQL(
            "COPY (SELECT {columns} FROM entasis.{relation} AS r"
            " WHERE r.{time} OPERATOR(pg_catalog.>=) {start}"
            " AND r.{time} OPERATOR(pg_catalog.<) {end} AND {only} ORDER BY {order})"
            " TO STDOUT (FORMAT csv)"
        ).format(**parts, only=only)
        for only in which
    ]


def _tables(connection: psycopg.Connection[Any], of: _Range, form: layout.Layout) -> Iterator[Any]:
    """Read the range in the order of its layout, a row group at a time.

    What was received is parsed while the server sends more.
    """
    with connection.transaction():
        execute(connection, "SET LOCAL timezone = 'UTC'")
        execute(connection, "SET LOCAL datestyle = 'ISO'")
        execute(connection, "SET LOCAL client_encoding = 'UTF8'")
        queries = _queries(connection, of, form)
        with (
            ThreadPoolExecutor(1) as pool,
            closing(copied(connection, queries, layout.BLOCK)) as blocks,
        ):
            parts: list[Future[Any]] = []
            for block in blocks:
                parts.append(pool.submit(layout.parsed, form, block))
                if len(parts) == layout.ROW_GROUP // layout.BLOCK:
                    yield layout.joined([part.result() for part in parts])
                    parts.clear()
            if parts:
                yield layout.joined([part.result() for part in parts])


def _read_back(
    store: Store, of: _Range, object_: _Object, content: layout.Content, file: Path
) -> None:
    """Fetch an object from the store and count what is in it; its file is gone afterwards."""
    fetch(store, object_.key, object_.sha256, file)
    form = layout.LAYOUTS[of.relation]
    for table in layout.row_groups(form, file):
        content.add(form, table)
    file.unlink()


def fetch(store: Store, key: str, sha256: str, file: Path) -> None:
    """Fetch an object into a file.

    Raises StoreError when the store gives back other bytes than were written.
    """
    store.get(key, file)
    if layout.sha256(file) != sha256:
        raise StoreError(
            f"the store gave back other bytes for {key} than were written; it is not trusted with "
            "this range, and nothing was dropped"
        )
