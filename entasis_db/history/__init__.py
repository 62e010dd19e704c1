"""History in place: what is in the database and what only the archive has, as one answer.

    from entasis_db import history
    from entasis_db.archive import open_store

    store = open_store("s3://our-history/desk-1")
    rows = history.trades("BTCUSDT", "binance-spot", start, end).fetch(connection, store)

Each function is the named query of the same name over all of history: the same arguments, rows and
columns. Nothing is restored. Of the archive, the footers of the range's objects are read, and those
row groups whose statistics say that they may hold the market and the time. Needs
``pip install 'entasis-db[archive]'``, and a member of entasis_reader.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from entasis_db import queries
from entasis_db.history.candles import bucket_from, stored_interval
from entasis_db.history.query import History
from entasis_db.history.ranges import ArchiveObject, HistoryRange
from entasis_db.history.snapshot import Asked
from entasis_db.queries.intervals import STORED_RELATION, Interval
from entasis_db.queries.statement import Statement

__all__ = [
    "ArchiveObject",
    "History",
    "HistoryRange",
    "candles",
    "option_history",
    "trades",
]

Row = TypeVar("Row")


def trades(
    symbol: str, exchange: str, from_time: datetime, to_time: datetime
) -> History[queries.Trade]:
    """Trades of one market in [from_time, to_time), ordered by (timestamp, id)."""
    statement = queries.trades(symbol, exchange, from_time, to_time)
    market = {"symbol": symbol, "exchange": exchange}
    return _history("market_data", statement, market, (symbol, exchange))


def candles(
    symbol: str, exchange: str, interval: Interval, from_time: datetime, to_time: datetime
) -> History[queries.Candle]:
    """Candles of one market whose buckets begin in [from_time, to_time), ordered by bucket.

    Those that are computed from shorter ones are computed here, exactly, as soon as some of the
    shorter ones are archived. A bucket that is not known whole has no row: one that begins below
    the floor of the shorter ones, and is not archived, restored or reopened from its beginning to
    its end or the floor.
    """
    statement = queries.candles(symbol, exchange, interval, from_time, to_time)
    market = {"symbol": symbol, "exchange": exchange}
    relation, shorter = STORED_RELATION[interval], stored_interval(interval)
    if shorter == interval:
        return _history(relation, statement, market, (symbol, exchange))
    start, end = (bucket_from(interval, t.astimezone(UTC)) for t in (from_time, to_time))
    # where no bucket begins in the range, nothing is stored of it
    stored = queries.candles(symbol, exchange, shorter, start, end) if start < end else statement
    return History(
        Asked(relation, statement, stored, market, (symbol, exchange), start, end, interval)
    )


def option_history(
    underlying: str,
    expiry_date: datetime,
    strike_price: Decimal | int,
    option_type: queries.OptionType,
    from_time: datetime,
    to_time: datetime,
) -> History[queries.OptionQuote]:
    """Quotes of one contract in [from_time, to_time), ordered by (timestamp, id)."""
    statement = queries.option_history(
        underlying, expiry_date, strike_price, option_type, from_time, to_time
    )
    contract = {
        "underlying": underlying,
        "expiry_date": expiry_date.astimezone(UTC),
        "strike_price": Decimal(strike_price),
        "option_type": option_type,
    }
    return _history("option_data", statement, contract, (underlying, None))


def _history(
    relation: str,
    statement: Statement[Row],
    where: Mapping[str, object],
    market: tuple[str, str | None],
) -> History[Row]:
    bounds: Any = [statement.params[name] for name in ("from_time", "to_time")]
    start, end = (moment.astimezone(UTC) for moment in bounds)
    return History(Asked(relation, statement, statement, where, market, start, end))
