"""Batches: what one transaction writes, as the text that COPY reads."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import InvalidOperation
from functools import cached_property
from itertools import count, groupby, islice
from operator import attrgetter, itemgetter, lt
from typing import Any, Generic

from entasis_db.ingest.checks import check_row, storable, unstageable
from entasis_db.ingest.copy_text import fields_text
from entasis_db.ingest.id_spaces import Market, MarketBatch
from entasis_db.ingest.limits import INT64, is_name, time_bounds
from entasis_db.ingest.quarantine import Refusal
from entasis_db.ingest.report import IngestReport
from entasis_db.ingest.targets import Row, Target
from entasis_db.model import TimeUnit, Trade

_CHUNK = 2000  # rows of one call into the driver
_FIRST_CHUNK = 200  # the server begins with it while the rest is written
_market_of = itemgetter(Trade._fields.index("symbol"), Trade._fields.index("exchange"))
_id_of = itemgetter(Trade._fields.index("id"))
_number_of = attrgetter("id")  # of a trade or a quote

UNKNOWN = MarketBatch(None, None, None, None, rising=False, trades=0)
"""Of trades that SQL shall judge: some are not what they should be."""


class DoubtfulRowError(Exception):
    """A row may not be what the table takes; SQL shall judge it."""


class Batch(ABC):
    """Rows for one relation; they can be written out any number of times."""

    target: Target[Any]
    refusals: Sequence[Refusal]
    """Rows that were lost to the reader, and go to quarantine with the others' transaction."""
    prepared = IngestReport()
    """How many values of the rows were changed to be stored."""
    time_unit: TimeUnit | None = None
    """The unit in which the rows' source states times; None: it does not say."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many rows can be written."""

    @abstractmethod
    def markets(self) -> Mapping[Market, MarketBatch]:
        """Return the markets of the rows, which are trades, and what each has."""

    def market_names(self) -> Collection[Market]:
        """Return the markets of the rows, which are trades."""
        return self.markets()

    def unnumbered(self) -> Mapping[str, tuple[datetime, datetime]] | None:
        """Return first and last time of the rows without an id, which are quotes, by underlying.

        None: SQL shall number them.
        """
        return {}

    @abstractmethod
    def line_of(self, market: Market) -> int:
        """Return the line of the first row of a market."""

    @abstractmethod
    def count_before(self, moment: datetime) -> int:
        """Return how many rows are older than a moment."""

    @abstractmethod
    def clean_text(self) -> Iterator[str | memoryview]:
        """Write all rows in the order of the key, in pieces.

        Raises DoubtfulRowError at a row that the table may refuse.
        """

    @abstractmethod
    def stored_text(self) -> Iterator[str | memoryview]:
        """Write all trades as the server would, market by market and in the order of time and id.

        Raises DoubtfulRowError as clean_text() does.
        """

    @abstractmethod
    def staged_text(self, refusals: list[Refusal]) -> Iterator[str | memoryview]:
        """Write all rows with their lines for the staging table, in pieces.

        What cannot stand even there is appended to ``refusals``. Raises TypeError and ValueError
        for what is a mistake in the caller's program.
        """


class RowBatch(Batch, Generic[Row]):
    """Rows as Python objects."""

    def __init__(
        self,
        target: Target[Row],
        rows: Sequence[Row],
        lines: Sequence[int] | None = None,
        refusals: Sequence[Refusal] = (),
    ) -> None:
        """Make a batch; without ``lines``, a row's line is its position, from 1."""
        if lines is not None and len(lines) != len(rows):
            raise ValueError(f"{len(lines)} lines are given for {len(rows)} rows")
        self.target: Target[Row] = target
        self.refusals = refusals
        prepared, self.prepared = target.prepare(rows)
        self._rows: Sequence[Row] = prepared
        self._lines = lines

    def __len__(self) -> int:
        return len(self._rows)

    def markets(self) -> Mapping[Market, MarketBatch]:
        """Return each (symbol, exchange) with what it has."""
        rows: Sequence[Any] = self._in_key_order
        # exchanges of one symbol take turns in the order of the key
        found: dict[Market, list[Trade]] = {}
        scattered: set[Market] = set()
        for market, trades in groupby(rows, _market_of):
            if market in found:
                scattered.add(market)
            found.setdefault(market, []).extend(trades)
        if rows is not self._rows:
            scattered.clear()
        return {
            market: UNKNOWN if market in scattered else _market_batch(trades)
            for market, trades in found.items()
        }

    def market_names(self) -> Collection[Market]:
        """Return the markets of the rows."""
        return set(map(_market_of, self._rows))

    def unnumbered(self) -> Mapping[str, tuple[datetime, datetime]] | None:
        """Return first and last time of the quotes without an id, by underlying.

        None if only some have none, or some row is not what it should be: SQL shall number them.
        """
        rows: Sequence[Any] = self._rows
        numbered = sum(row.id is not None for row in rows)
        if numbered:
            return {} if numbered == len(rows) else None
        times: dict[str, list[datetime]] = {}
        begin, end = time_bounds()
        try:
            for row in rows:
                time = row.timestamp
                if time.tzinfo is not UTC:
                    # of one zone, Python compares what its clock shows, even when it is put back
                    time = time.astimezone(UTC)
                times.setdefault(row.underlying, []).append(time)
            found = {underlying: (min(told), max(told)) for underlying, told in times.items()}
        except (AttributeError, TypeError, OverflowError):
            return None
        sane = all(
            is_name(underlying) and begin <= first and last <= end
            for underlying, (first, last) in found.items()
        )
        return found if sane else None

    def line_of(self, market: Market) -> int:
        """Return the line of the first row of a market."""
        rows: Sequence[Any] = self._rows
        position = next(n for n, row in enumerate(rows) if (row.symbol, row.exchange) == market)
        return position + 1 if self._lines is None else self._lines[position]

    def count_before(self, moment: datetime) -> int:
        """Return how many rows are older than a moment."""
        return sum(row.timestamp < moment for row in self._rows)

    def clean_text(self) -> Iterator[str | memoryview]:
        """Write the rows in the order of the key; DoubtfulRowError at one that may be refused."""
        return self._text(self._in_key_order)

    def stored_text(self) -> Iterator[str | memoryview]:
        """Write the rows as the server would, market by market."""
        rows: Sequence[Any] = self._in_key_order
        return self._text(sorted(rows, key=_market_of))

    def _text(self, rows: Iterable[Row]) -> Iterator[str]:
        write = self.target.writer()
        lines = []
        full = _FIRST_CHUNK
        for row in rows:
            line = write(row)
            if line is None:
                raise DoubtfulRowError
            lines.append(line)
            if len(lines) == full:
                yield "".join(lines)
                lines.clear()
                full = _CHUNK
        yield "".join(lines)

    @cached_property
    def _in_key_order(self) -> Sequence[Row]:
        try:
            return sorted(self._rows, key=self.target.key)
        except (TypeError, InvalidOperation):
            # a time without a zone, or a strike that is NaN: whoever looks at that row says so
            return self._rows

    def staged_text(self, refusals: list[Refusal]) -> Iterator[str | memoryview]:
        """Write the rows with their lines, apart from those that no type can hold."""
        write = self.target.writer()
        chunk: list[str] = []
        lines = self._lines if self._lines is not None else count(1)
        for line, row in zip(lines, self._rows, strict=False):
            # whoever numbers quotes there is SQL
            text = None if _number_of(row) is None else write(row)
            if text is None:
                check_row(row)
                if fault := unstageable(row):
                    payload = {
                        name: None if value is None else storable(value)
                        for name, value in row._asdict().items()
                    }
                    refusals.append(Refusal(line, *fault, payload))
                    continue
                text = fields_text(row)
            chunk.append(f"{line}\t{text}")
            if len(chunk) == _CHUNK:
                yield "".join(chunk)
                chunk.clear()
        yield "".join(chunk)


def _market_batch(trades: Sequence[Trade]) -> MarketBatch:
    """Describe the trades of one market, in the order of the key."""
    first, last = trades[0], trades[-1]
    begin, end = time_bounds()
    try:
        if not (begin <= first.timestamp and last.timestamp <= end):
            return UNKNOWN
        ids = list(map(_id_of, trades))
        rising = all(map(lt, ids, islice(ids, 1, None)))
        first_id, last_id = (ids[0], ids[-1]) if rising else (min(ids), max(ids))
        if not -INT64 <= first_id <= last_id < INT64:
            return UNKNOWN
    except TypeError:  # a time without a zone, or an id that is no number
        return UNKNOWN
    return MarketBatch(first.timestamp, last.timestamp, first_id, last_id, rising, len(trades))
