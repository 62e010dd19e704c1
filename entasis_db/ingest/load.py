"""Loading files of trades and option quotes: in batches, each its own transaction, with progress.

A load may be stopped at any moment and started again: what is stored already changes nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psycopg

from entasis_db.errors import LoadError
from entasis_db.ingest.moments import refuse_cut_moments
from entasis_db.ingest.origins import Origins, check_origins, refuse_near
from entasis_db.ingest.parts import (
    BATCH_ROWS,
    MAX_REFUSED,
    AnyReader,
    Part,
    ahead,
    open_options,
    open_trades,
    source_name,
    tell_reader,
)
from entasis_db.ingest.quarantine import quarantined, refuse_more
from entasis_db.ingest.report import IngestReport
from entasis_db.ingest.retry import retrying
from entasis_db.ingest.write import write_batch
from entasis_db.readers.columns import FileUnit

_NO_ROOM = "53"  # the class of SQLSTATEs of a full disk, and of memory that is used up


@dataclass(frozen=True)
class Loaded:
    """What became of a file, so far or in the end."""

    source: str
    """The file's base name."""
    layout: str
    """What it was recognised as."""
    report: IngestReport = field(default_factory=IngestReport)
    """What became of its rows."""
    bytes_read: int = 0
    """How far the file was read, as it is stored (compressed)."""
    total_bytes: int | None = None
    """None when it is not known, as for a pipe."""
    truncated_nanoseconds: int = 0
    """Timestamps whose digits below the microsecond were cut off, never rounded up."""


Progress = Callable[[Loaded], None]


def load_trades(
    connection: psycopg.Connection[Any],
    path: Path | str,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    layout: str | None = None,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
    id_space: str | None = None,
    time_unit: FileUnit | None = None,
    sequence: Literal["exchange", "position"] | None = None,
    decimals: int | None = None,
    columns: str | None = None,
    max_refused: int | None = MAX_REFUSED,
    new_exchange: bool = False,
) -> Loaded:
    """Load one file of trades; ``connection`` is in autocommit mode.

    ``exchange`` and ``symbol`` are for layouts that do not name them, ``layout`` for files that are
    not to be recognised by their look. ``id_space`` says how the trades of a Parquet or Arrow file
    are numbered, and ``decimals`` is for floats in one, as in ingest_arrow. ``time_unit`` is the
    unit (s, ms, us) in which the trades' source states times, where the layout does not say,
    ``sequence`` whether a column of that name is the exchange's own, which then is the id where
    there is no other, or the row's position: by default, it is that if it counts the rows.
    ``columns`` says which column of a CSV of no known layout is what, as in
    ``timestamp=ts,price=px,volume=qty,id=tid``, and ``time_unit`` (there ns too) then is the unit
    of its times; times may be ISO 8601 text with a zone. An exchange that is not known, with a name
    that is nearly that of one that is, is taken only with ``new_exchange``. Rows that cannot be
    read or stored go to quarantine under the file's base name and their line; at most
    ``max_refused`` of them, for with more the file is wrong as a whole (None: any number).

    Raises LoadError for a compressed file that is cut or damaged, before anything is stored; when
    the file cannot be read to its end, after everything before the fault was; and when more rows
    are refused or the server has no room, after all batches before that one were: the message says
    how many rows are stored. Raises IdSpaceError when a market is on record with another kind of
    trade ids.
    """
    refuse_near(connection, Path(path).name, exchange, new_exchange=new_exchange)
    reader, parts = open_trades(
        path,
        exchange=exchange,
        symbol=symbol,
        layout=layout,
        batch_rows=batch_rows,
        id_space=id_space,
        time_unit=time_unit,
        sequence=sequence,
        decimals=decimals,
        columns=columns,
    )
    origins = Origins(reader.names, symbol=symbol, exchange=exchange, new_exchange=new_exchange)
    return _load(connection, reader, parts, batch_rows, progress, max_refused, origins)


def load_options(
    connection: psycopg.Connection[Any],
    path: Path | str,
    *,
    layout: str | None = None,
    zone: tzinfo = UTC,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda _: None,
    decimals: int | None = None,
    max_refused: int | None = MAX_REFUSED,
) -> Loaded:
    """Load one file of option quotes, as :func:`load_trades` does trades.

    Where the file states dates only, they are days in ``zone``, the venue's. ``decimals`` is for
    strikes, prices and open interest that are floats in a Parquet or Arrow file, as in
    ingest_arrow_options.
    """
    reader, parts = open_options(
        path, layout=layout, zone=zone, batch_rows=batch_rows, decimals=decimals
    )
    origins = Origins(reader.names)
    return _load(connection, reader, parts, batch_rows, progress, max_refused, origins)


def _load(
    connection: psycopg.Connection[Any],
    reader: AnyReader,
    parts: Iterator[Part],
    batch_rows: int,
    progress: Progress,
    max_refused: int | None,
    origins: Origins,
) -> Loaded:
    if not connection.autocommit:
        raise ValueError("load over a connection in autocommit mode: each batch is a transaction")
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}: give 1 or more")
    if max_refused is not None and max_refused < 0:
        raise ValueError(f"max_refused is {max_refused}: give 0 or more")
    tell_reader(connection, reader)
    source = source_name(reader)
    loaded = Loaded(source, reader.layout, total_bytes=reader.total_bytes)
    with ahead(reader, parts) as parts:
        for part in parts:
            _refuse_others(connection, part, loaded, origins)
            _refuse_edges(connection, part, loaded)
            try:
                written = retrying(partial(_write, connection, part, loaded, max_refused))
            except psycopg.OperationalError as error:
                if not (error.sqlstate or "").startswith(_NO_ROOM):
                    raise
                raise LoadError(
                    f"{source}: the server has no room: {error.diag.message_primary} "
                    f"({_safe(loaded)}). Make room, and load it again: nothing is loaded twice"
                ) from error
            loaded = replace(
                loaded,
                report=loaded.report + written,
                bytes_read=part.bytes_read,
                truncated_nanoseconds=part.truncated_nanoseconds,
            )
            progress(loaded)
            if part.fault is not None:
                raise LoadError(f"{part.fault} ({_safe(loaded)})") from part.fault
    return loaded


def _write(
    connection: psycopg.Connection[Any], part: Part, loaded: Loaded, max_refused: int | None
) -> IngestReport:
    """Write a batch, or nothing of it and LoadError if too many rows of the file are refused."""
    batch, source = part.batch, loaded.source
    before = loaded.report.quarantined
    if max_refused is not None and before + len(batch.refusals) > max_refused:
        found = before + len(batch.refusals)
        refuse_more(source, found, max_refused, batch.refusals, _safe(loaded))
    with connection.transaction():
        written = write_batch(connection, batch, source, part.id_space, part.time_unit)
        refused = before + written.quarantined
        if max_refused is not None and refused > max_refused:
            examples = batch.refusals or quarantined(
                connection, batch.target.relation, source, limit=1
            )
            refuse_more(source, refused, max_refused, examples, _safe(loaded))
    return written


def _safe(loaded: Loaded) -> str:
    report = loaded.report
    return (
        f"{report.inserted} rows of it are stored now, {report.already_there} were before, "
        f"{report.quarantined} are in quarantine"
    )


def _refuse_others(
    connection: psycopg.Connection[Any], part: Part, loaded: Loaded, origins: Origins
) -> None:
    """Raise LoadError if the trades or quotes of a batch are not what the file's name says."""
    try:
        check_origins(connection, part, origins)
    except LoadError as error:
        done = loaded.report.inserted + loaded.report.already_there
        if not done:
            raise
        raise LoadError(f"{error} ({_safe(loaded)})") from None


def _refuse_edges(connection: psycopg.Connection[Any], part: Part, loaded: Loaded) -> None:
    """Raise LoadError if a moment at the file's edges is stored as other trades."""
    if part.edges:
        try:
            refuse_cut_moments(connection, loaded.source, part.edges)
        except LoadError as error:
            done = loaded.report.inserted + loaded.report.already_there
            raise LoadError(
                f"{error} ({f'{done} rows before these' if done else 'nothing'} of the file "
                f"{'are' if done else 'is'} stored)"
            ) from None
