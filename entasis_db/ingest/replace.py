"""Replacing stored trades by those of a file, in one transaction."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg import errors, sql

from entasis_db.citus import is_citus
from entasis_db.cursors import Cursor
from entasis_db.direct import is_direct
from entasis_db.errors import LoadError
from entasis_db.ingest.batch import UNKNOWN
from entasis_db.ingest.copy_text import utf8
from entasis_db.ingest.id_spaces import (
    RECORD_MARKETS,
    Market,
    check_id_spaces,
    record_markets_parameters,
)
from entasis_db.ingest.load import Loaded, Progress
from entasis_db.ingest.origins import Origins, check_origins, refuse_near
from entasis_db.ingest.parts import (
    BATCH_ROWS,
    Part,
    ahead,
    open_trades,
    source_name,
    tell_reader,
)
from entasis_db.ingest.quarantine import Refusal
from entasis_db.ingest.retry import retrying
from entasis_db.ingest.targets import TRADES
from entasis_db.model import TimeUnit
from entasis_db.readers import TradeReader
from entasis_db.readers.columns import FileUnit

if TYPE_CHECKING:
    from entasis_db.readers.arrow import ArrowReader

_REPLACE = sql.SQL(
    "SELECT added, changed, removed, unchanged, past_keep"
    " FROM entasis.replace_staged_trades(%s, %s)"
)

_Counts = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Replaced:
    """What a file replaced. Its trades are the sum of added, changed and unchanged."""

    source: str
    """The file's base name."""
    layout: str
    """What it was recognised as."""
    added: int
    """Trades whose id was not stored."""
    changed: int
    """Trades that stand in the place of one with the same id and another time, price, volume or
    side."""
    removed: int
    """Stored trades for which none stands now."""
    unchanged: int
    """Trades that were stored as they are, and were not touched."""
    past_keep: int
    """Trades that are past their keep period: maintenance drops the months that wholly are, once
    they are archived."""
    truncated_nanoseconds: int
    """Timestamps whose digits below the microsecond were cut off, never rounded up."""


def replace_trades(
    connection: psycopg.Connection[Any],
    path: Path | str,
    *,
    from_time: datetime | None = None,
    to_time: datetime | None = None,
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
    new_exchange: bool = False,
) -> Replaced:
    """Store a file's trades in the place of others, all in one transaction.

    Every stored trade of the same market whose id is in the file goes, whatever its time; and with
    ``from_time`` and ``to_time``, which have time zones, so do all others of the file's markets in
    [from_time, to_time). Trades that are stored as the file has them stay untouched, and so do
    sides that it does not state and exclusions of trades that are the same. Where ids are unique
    only within a timestamp (ordinals), it takes a range. ``connection`` is in autocommit mode; the
    other arguments are those of load_trades.

    Raises LoadError, and changes nothing, for a file with a line that cannot be read or stored,
    lies outside of the range or tells a trade twice and differently, and where trades would have to
    go that lie below the floor. Raises IdSpaceError as load_trades does, and ValueError for a range
    without a bound or zone, or that is empty or reversed.
    """
    _check(connection, batch_rows, from_time, to_time)
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
    tell_reader(connection, reader)
    origins = Origins(reader.names, symbol=symbol, exchange=exchange, new_exchange=new_exchange)
    staging = _Staging(source_name(reader), origins)
    with connection.transaction(), Cursor(connection) as cursor:
        # what is repeated after a conflict with another session must see what that one has done
        cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(TRADES.stage)
        with ahead(reader, parts) as parts:
            staging.fill(cursor, parts, reader, progress)
        counts = staging.replace(connection, cursor, from_time, to_time)
        if not is_direct(connection):
            _unstage(connection, cursor)
    return Replaced(staging.source, reader.layout, *counts, reader.truncated_nanoseconds)


def _unstage(connection: psycopg.Connection[Any], cursor: psycopg.Cursor[Any]) -> None:
    """Leave no table behind in a session that a pooler hands on."""
    cursor.execute(TRADES.unstage)
    if not is_citus(connection):  # there it is not the caller's, and goes by itself
        cursor.execute("DROP TABLE pg_temp.entasis_replaced_trades")


def _check(
    connection: psycopg.Connection[Any],
    batch_rows: int,
    from_time: datetime | None,
    to_time: datetime | None,
) -> None:
    if not connection.autocommit:
        raise ValueError("replace over a connection in autocommit mode: it is a transaction")
    if batch_rows < 1:
        raise ValueError(f"batch_rows is {batch_rows}: give 1 or more")
    if from_time is None and to_time is None:
        return
    if from_time is None or to_time is None:
        raise ValueError("give both from_time and to_time, or neither")
    for bound in (from_time, to_time):
        if bound.utcoffset() is None:
            raise ValueError(f"{bound} has no time zone; times are told in UTC")
    if not from_time < to_time:
        raise ValueError(f"to_time {to_time} is not after from_time {from_time}")


class _Staging:
    """The trades of a file in the staging table."""

    def __init__(self, source: str, origins: Origins) -> None:
        self.source = source
        self._origins = origins
        self._lines: dict[Market, int] = {}
        self._id_spaces: dict[Market, str] = {}
        self._time_units: dict[Market, TimeUnit] = {}

    def fill(
        self,
        cursor: psycopg.Cursor[Any],
        parts: Iterator[Part],
        reader: "TradeReader | ArrowReader",
        progress: Progress,
    ) -> None:
        """Stage the whole file; LoadError at the first line that cannot be."""
        for part in parts:
            self._refuse(part.batch.refusals)
            if len(part.batch):
                check_origins(cursor.connection, part, self._origins)
                refusals: list[Refusal] = []
                with cursor.copy(TRADES.copy_staged) as copy:
                    for piece in part.batch.staged_text(refusals):
                        copy.write(utf8(piece))
                self._refuse(refusals)
                self._note_markets(part)
            if part.fault is not None:
                raise LoadError(f"{part.fault}; nothing was replaced") from part.fault
            progress(
                Loaded(
                    self.source,
                    reader.layout,
                    bytes_read=part.bytes_read,
                    total_bytes=reader.total_bytes,
                )
            )

    def _refuse(self, refusals: Iterable[Refusal]) -> None:
        for refusal in refusals:
            raise LoadError(
                f"{self.source}, line {refusal.line}: {refusal.code}: {refusal.reason}. Nothing "
                "was replaced. Correct the file: a replacement takes all of its lines or none"
            )

    def _note_markets(self, part: Part) -> None:
        for market in part.batch.markets():
            self._lines.setdefault(market, part.batch.line_of(market))
            assert part.id_space is not None
            self._id_spaces[market] = (
                part.id_space if isinstance(part.id_space, str) else part.id_space[market]
            )
            units = part.time_unit or part.batch.time_unit
            unit = units if units is None or isinstance(units, str) else units.get(market)
            if unit is not None:
                self._time_units[market] = unit

    def replace(
        self,
        connection: psycopg.Connection[Any],
        cursor: psycopg.Cursor[Any],
        from_time: datetime | None,
        to_time: datetime | None,
    ) -> _Counts:
        """Put what is staged in the place of what is stored, and answer the counts of Replaced."""
        parameters = record_markets_parameters(
            dict.fromkeys(self._lines, UNKNOWN), self._id_spaces, self.source, self._time_units
        )

        def put() -> _Counts:
            with connection.transaction():  # a savepoint: what is staged stays
                recorded = cursor.execute(RECORD_MARKETS, parameters).fetchall()
                check_id_spaces(recorded, self.source, self._lines.__getitem__)
                row = cursor.execute(_REPLACE, [from_time, to_time]).fetchone()
            assert row is not None
            return row[0], row[1], row[2], row[3], row[4]

        try:
            return retrying(put)
        except (errors.CheckViolation, errors.ObjectNotInPrerequisiteState) as error:
            raise LoadError(
                f"{self.source}: {error.diag.message_primary}. Nothing was replaced. "
                f"{error.diag.message_hint or ''}".rstrip(". ")
            ) from error
