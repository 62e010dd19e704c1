"""Rows for tests, each kind made and inserted in one place, and the months that they lie in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import sql

from entasis_db.model import OptionQuote, Trade
from tests.db import Connection

D = Decimal
NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
EXPIRY = datetime(2024, 9, 27, 8, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
THIS_MONTH = TODAY.replace(day=1)

# for tests that send a statement themselves, and look at what becomes of it
INSERT_TRADE = (
    "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
    " VALUES (%s, 'BTC', 'one', %s, %s, 1)"
)
INSERT_QUOTE = (
    "INSERT INTO entasis.option_data (id, underlying, strike_price, expiry_date, option_type, iv,"
    " timestamp) VALUES (%s, 'BTC', 100, '2030-01-01', 'call', 0.5, %s)"
)


def trade(number: int = 1, **changes: Any) -> Trade:
    """Make a trade, so many seconds after noon and with that id."""
    made = Trade(
        id=number,
        symbol="BTC",
        exchange="x",
        timestamp=changes.get("timestamp") or NOON + timedelta(seconds=number),
        price=D("61804.5"),
        volume=D("0.25"),
    )
    return made._replace(**changes)


def quote(number: int = 1, **changes: Any) -> OptionQuote:
    """Make a quote, so many seconds after noon and with that id."""
    made = OptionQuote(
        id=number,
        underlying="ETH",
        strike_price=D(2800),
        expiry_date=EXPIRY,
        option_type="call",
        iv=D("0.65"),
        delta=D("0.5"),
        gamma=D("0.00002"),
        theta=D("-1.6"),
        vega=D("0.2"),
        timestamp=changes.get("timestamp") or NOON + timedelta(seconds=number),
    )
    return made._replace(**changes)


def insert(connection: Connection, relation: str, rows: Sequence[Any]) -> None:
    """Insert rows, whose fields are columns, one statement each."""
    if not rows:
        return
    made = rows[0]
    names = made._fields
    statement = sql.SQL("INSERT INTO entasis.{} ({}) VALUES ({})").format(
        sql.Identifier(relation),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join([sql.Placeholder()] * len(names)),
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, [[getattr(row, name) for name in names] for row in rows])


def insert_trades(connection: Connection, *trades: Trade) -> None:
    """Insert trades as a client without our helpers does."""
    insert(connection, "market_data", trades)


def insert_quotes(connection: Connection, *quotes: OptionQuote) -> None:
    """Insert quotes as a client without our helpers does."""
    insert(connection, "option_data", quotes)


def month(year: int, number: int) -> datetime:
    """Return the beginning of a month; the 13th is January of the next year."""
    return datetime(year + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)


def month_of(time: datetime, ahead: int = 0) -> datetime:
    """Return the beginning of the month of a time, or of one so many months later."""
    return month(time.year, time.month + ahead)


def months_ago(count: int) -> datetime:
    """Return the beginning of the month so many months before this one."""
    return month_of(THIS_MONTH, -count)
