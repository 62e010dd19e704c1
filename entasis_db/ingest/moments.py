"""Trades without an id are counted within their moment: no moment may be stored in two pieces.

A trade that has neither an id nor a sequence is told from others of its market and timestamp by its
position alone. Where a file is cut within a moment, the pieces count anew, and trades would pass
for one another. So the first and the last moment of a file must be stored as a whole or not at all.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import psycopg

from entasis_db.citus import is_citus
from entasis_db.cursors import Cursor
from entasis_db.errors import LoadError
from entasis_db.ingest.copy_text import trade_writer
from entasis_db.ingest.id_spaces import Market
from entasis_db.ingest.limits import is_name, time_bounds
from entasis_db.model import Trade
from entasis_db.readers import Edge, TradeReader

_SHOWN_TRADES = 3

# By the key of each moment, whatever the planner thinks of joins.
_STORED = """
    SELECT e.position, d.id, d.price, d.volume
    FROM ROWS FROM (
        pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.text[]),
        pg_catalog.unnest(%s::pg_catalog.timestamptz[])
    )
        WITH ORDINALITY AS e (symbol, exchange, moment, position)
    CROSS JOIN LATERAL (
        SELECT m.id, m.price, m.volume FROM entasis.market_data AS m
        WHERE m.symbol OPERATOR(pg_catalog.=) e.symbol
            AND m.exchange OPERATOR(pg_catalog.=) e.exchange
            AND m.timestamp OPERATOR(pg_catalog.=) e.moment
        ORDER BY m.id LIMIT 9223372036854775807
    ) AS d
    ORDER BY e.position, d.id
"""
# (asked for by itself: a shard that is asked for trades asks no other one)
_SIGNED = """
    SELECT e.position
    FROM ROWS FROM (
        pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.text[])
    )
        WITH ORDINALITY AS e (symbol, exchange, position)
    WHERE entasis_internal.has_signed_prices(e.symbol, e.exchange)
"""
# A shard is asked for all at once.
_STORED_ON_SHARDS = _STORED.replace("ORDER BY m.id LIMIT 9223372036854775807", "")


class Moments:
    """Where a file of trades may be cut into batches, and what lies at its edges.

    A batch holds a moment as a whole, those at the edges also where the file is not in the order of
    time, so that a load that is stopped and repeated finds them as it left them. A file is read
    beforehand, as soon as it turns out that trades are counted in it. Of a pipe, the moment that is
    kept for the next batch may be the last one.
    """

    def __init__(self, reader: TradeReader) -> None:
        self._reader = reader
        self._edges: list[Edge] | None = None
        self._given = False
        self._begun: set[Market] = set()

    def may_cut(self, line: int) -> bool:
        """Say whether a batch may end with a line."""
        return not any(edge.first_line <= line < edge.last_line for edge in self._of_file())

    def take(
        self, rows: list[Trade], lines: list[int], *, at_end: bool
    ) -> tuple[list[Edge], list[Trade], list[int]]:
        """Take from the rows what must wait for the next batch, and give it, after the edges.

        That is the latest moment of each market: more of it may follow. A file's edges come with
        the first batch that has any.
        """
        counted = self._counted()
        if not counted:
            return [], [], []
        later: list[Trade] = []
        later_lines: list[int] = []
        if not at_end:
            latest = {market: max(times) for market, times in _times(rows, counted).items()}
            waits = [latest.get((row.symbol, row.exchange)) == row.timestamp for row in rows]
            later = [row for row, wait in zip(rows, waits, strict=True) if wait]
            later_lines = [line for line, wait in zip(lines, waits, strict=True) if wait]
            rows[:] = [row for row, wait in zip(rows, waits, strict=True) if not wait]
            lines[:] = [line for line, wait in zip(lines, waits, strict=True) if not wait]
        if not self._reader.rereadable:
            return list(self._of_rows(rows, counted, at_end)), later, later_lines
        edges = [] if self._given else self._of_file()
        self._given = True
        return edges, later, later_lines

    def _of_file(self) -> list[Edge]:
        if self._edges is None:
            if not (self._reader.rereadable and self._counted()):
                return []
            self._edges = self._reader.edges(time_bounds())
        return self._edges

    def _counted(self) -> set[Market]:
        spaces = self._reader.id_spaces
        return {(symbol, exchange) for (exchange, symbol), s in spaces.items() if s == "ordinal"}

    def _of_rows(self, rows: list[Trade], counted: set[Market], at_end: bool) -> Iterator[Edge]:
        for market, times in _times(rows, counted).items():
            ends = set() if market in self._begun else {min(times)}
            self._begun.add(market)
            for moment in ends | ({max(times)} if at_end else set()):
                key = (*market, moment)
                of_moment = [r for r in rows if (r.symbol, r.exchange, r.timestamp) == key]
                yield Edge(0, 0, of_moment)


def _times(rows: Sequence[Trade], markets: set[Market]) -> dict[Market, set[Any]]:
    first, last = time_bounds()
    found: dict[Market, set[Any]] = {}
    for row in rows:
        market = (row.symbol, row.exchange)
        # a row of any other time is not stored
        if market in markets and first <= row.timestamp <= last:
            found.setdefault(market, set()).add(row.timestamp)
    return found


def refuse_cut_moments(
    connection: psycopg.Connection[Any], source: str, edges: Sequence[Edge]
) -> None:
    """Compare moments at a file's edges with what is stored at that time.

    Raises LoadError if they are not the same trades, and there are some stored.
    """
    edges = [e for e in edges if is_name(e.trades[0].symbol) and is_name(e.trades[0].exchange)]
    firsts = [edge.trades[0] for edge in edges]
    symbols, exchanges = [t.symbol for t in firsts], [t.exchange for t in firsts]
    stored: dict[int, dict[int, tuple[Any, Any]]] = {}
    signed: set[int] = set()
    with Cursor(connection) as cursor:
        query = _STORED_ON_SHARDS if is_citus(connection) else _STORED
        cursor.execute(query, [symbols, exchanges, [t.timestamp for t in firsts]])
        for position, number, price, volume in cursor:
            stored.setdefault(position - 1, {})[number] = (price, volume)
        if stored:
            cursor.execute(_SIGNED, [symbols, exchanges])
            signed = {position - 1 for (position,) in cursor}
    for position, group in stored.items():
        if not _is_whole(edges[position].trades, group, signed=position in signed):
            raise LoadError(_differs(source, edges[position].trades, group))


def _is_whole(told: Sequence[Trade], stored: dict[int, tuple[Any, Any]], *, signed: bool) -> bool:
    """Say whether the trades of a moment are those that are stored of it.

    ``signed`` says that prices of the market may be 0 or below.
    """
    by_number = {trade.id: (trade.price, trade.volume) for trade in told}
    if any(by_number.get(number) != values for number, values in stored.items()):
        return False
    # a line that could not be stored, then or now, has its number all the same
    last, write = max(stored), trade_writer()

    def is_storable(trade: Trade) -> bool:
        if signed and trade.price <= 0:
            trade = trade._replace(price=-trade.price or Decimal(1))
        return write(trade) is not None

    return all(t.id in stored or t.id < last or not is_storable(t) for t in told)


def _differs(source: str, told: Sequence[Trade], stored: dict[int, tuple[Any, Any]]) -> str:
    _, symbol, exchange, moment, *_ = told[0]
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    after = moment + timedelta(microseconds=1)
    return (
        f"{source}: at {moment.isoformat()} UTC, where the file's trades of {exchange} {symbol} "
        f"begin or end, it has {_listed([(t.price, t.volume) for t in told])}, and stored are "
        f"{_listed(list(stored.values()))}. Trades without an id are told apart by their position "
        "within a moment, which must not be loaded in pieces. If a file was cut there, join its "
        "pieces and load the whole; to store this file's trades of that moment instead, load a "
        f"range that holds it with --replace --from {moment.isoformat()} or earlier --to "
        f"{after.isoformat()} or later"
    )


def _listed(trades: list[tuple[Any, Any]]) -> str:
    shown = ", ".join(f"{price} x {volume}" for price, volume in islice(trades, _SHOWN_TRADES))
    rest = len(trades) - _SHOWN_TRADES
    return f"{len(trades)} (price x volume: {shown}{f' and {rest} more' if rest > 0 else ''})"
