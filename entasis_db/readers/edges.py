"""The first and the last moment of each market in a file whose trades are counted."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from entasis_db.errors import LoadError
from entasis_db.model import Trade
from entasis_db.readers.columns import Translate
from entasis_db.readers.files import Source
from entasis_db.readers.rows import RowError, fields_of

Market = tuple[str, str]
"""Exchange and symbol, as the file has them."""
Record = tuple[int, list[str]]
"""A line's number and its fields."""


class Edge(NamedTuple):
    """The trades of one market at the first or the last moment that a file has of it."""

    first_line: int
    """The line of the first of them; others' lines may stand between them."""
    last_line: int
    """The line of the last of them."""
    trades: Sequence[Trade]
    """In the order of the file: all that can be read, one at least."""


class _Extremes:
    """The lines of the first and the last moment of a market, so far."""

    __slots__ = ("first", "first_records", "last", "last_records")

    def __init__(self) -> None:
        self.first = self.last = -1  # none: times are after 1970
        self.first_records: list[Record] = []
        self.last_records: list[Record] = []

    def put(self, stamp: int, record: Record) -> None:
        if stamp < self.first or self.first < 0:
            self.first, self.first_records = stamp, []
        if stamp > self.last:
            self.last, self.last_records = stamp, []
        if stamp == self.first:
            self.first_records.append(record)
        if stamp == self.last:
            self.last_records.append(record)

    def moments(self) -> Iterator[list[Record]]:
        yield self.first_records
        if self.last != self.first:
            yield self.last_records


def edge_records(
    source: Source,
    body: int,
    width: int,
    numbers: Sequence[int],
    is_counted: Callable[[Market, list[str]], bool],
    bounds: tuple[int, int],
    translate: Translate | None,
) -> Iterator[list[Record]]:
    """Read a file in our own layout, or one that is translated, for the moments at its edges.

    ``body`` is the first line behind the header, ``width`` the number of columns, and ``numbers``
    those that hold numbers. ``is_counted`` tells by a market's first row whether its trades are
    counted. Times outside of ``bounds``, in microseconds since 1970, are no edge: such rows are not
    stored. What cannot be read at all is passed over: whoever loads the file says so.
    """
    found: dict[Market, _Extremes | None] = {}
    earliest, latest = bounds
    try:
        for first, lines, odd, ended in source.blocks():
            if not ended:
                break
            skipped = max(0, body - first)
            for number, line in enumerate(lines[skipped:], first + skipped):
                try:
                    fields = fields_of(line, numbers) if odd else line.split(",")
                    if len(fields) != width:
                        continue
                    if translate is not None:
                        fields = translate(fields)
                    stamp = int(fields[2]) // 1000
                except (RowError, ValueError):
                    continue
                market = (fields[0], fields[1])
                if market not in found:
                    try:
                        found[market] = _Extremes() if is_counted(market, fields) else None
                    except RowError:  # no trade of it yet
                        continue
                extremes = found[market]
                if extremes is not None and earliest <= stamp <= latest and not fields[4]:
                    extremes.put(stamp, (number, fields))
    except LoadError:
        pass
    for extremes in found.values():
        if extremes is not None:
            yield from extremes.moments()
