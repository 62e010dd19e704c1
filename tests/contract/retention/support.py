"""What the tests of retention and floors share: keep periods, partitions, and old rows in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

CANDLES = ("ohlcv_1m", "ohlcv_1h", "ohlcv_1d")

RELATIONS = ("market_data", "option_data", *CANDLES)

MICROSECOND = timedelta(microseconds=1)

FOREVER = datetime.min.replace(tzinfo=UTC)


def month(year: int, number: int) -> datetime:
    return datetime(year + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)


def month_of(time: datetime, ahead: int = 0) -> datetime:
    return month(time.year, time.month + ahead)


def one(connection: Connection, query: str, parameters: Sequence[Any] = ()) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]


def ensure(connection: Connection, relation: str, from_time: Any, to_time: Any) -> int:
    made: int = one(
        connection, "SELECT entasis.ensure_partitions(%s, %s, %s)", [relation, from_time, to_time]
    )
    return made


def keep(connection: Connection, **periods: str | timedelta | None) -> None:
    """Set keep periods, in one statement, because candles may not be kept shorter than trades."""
    connection.execute(
        "UPDATE entasis.keep_periods AS k SET keep = n.keep FROM ("
        + " UNION ALL ".join(["SELECT %s AS relation, %s::interval AS keep"] * len(periods))
        + ") AS n WHERE n.relation = k.relation",
        [value for pair in periods.items() for value in pair],
    )


def partitions(connection: Connection, relation: str) -> dict[datetime, tuple[str, datetime]]:
    """Name and end of each partition by its begin."""
    return {
        begin.astimezone(UTC): (name, end.astimezone(UTC))
        for name, begin, end in connection.execute(
            "SELECT partition_name, from_time, to_time FROM entasis.partitions WHERE relation = %s",
            [relation],
        )
    }


Gone = dict[datetime, tuple[str, datetime]]


def ended(connection: Connection, relation: str, bound: datetime) -> Gone:
    """Those partitions that end at the bound or before it, of which there is one at least."""
    found = {b: v for b, v in sorted(partitions(connection, relation).items()) if v[1] <= bound}
    assert found
    return found


def top(gone: Gone) -> datetime:
    """The floor that is left when these have gone."""
    return max((end for _, end in gone.values()), default=FOREVER)


def floors(connection: Connection) -> dict[str, datetime]:
    return {
        relation: floor.astimezone(UTC)
        for relation, floor in connection.execute(
            "SELECT relation, CASE WHEN isfinite(floor) THEN floor ELSE %s END FROM entasis.floors",
            [FOREVER],
        )
    }


def maintain(connection: Connection) -> list[str]:
    """Run it, and answer what it said."""
    said: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        said.append(notice.message_primary or "")

    connection.add_notice_handler(hear)
    try:
        connection.execute("SET client_min_messages = notice")
        connection.execute("SET statement_timeout = '60s'")  # rather fail than hang
        connection.execute("CALL entasis.maintain()")
    finally:
        connection.remove_notice_handler(hear)
    return said


INSERT_TRADE = (
    "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
    " VALUES (%s, 'BTC', 'one', %s, %s, 1)"
)

INSERT_QUOTE = (
    "INSERT INTO entasis.option_data (id, underlying, strike_price, expiry_date, option_type, iv,"
    " timestamp) VALUES (%s, 'BTC', 100, '2030-01-01', 'call', 0.5, %s)"
)


def trade(connection: Connection, time: datetime, trade_id: int = 1, price: int = 10) -> None:
    connection.execute(INSERT_TRADE, [trade_id, time, price])


def quote(connection: Connection, time: datetime, quote_id: int = 1) -> None:
    connection.execute(INSERT_QUOTE, [quote_id, time])


def _load(connection: Connection) -> None:
    for number in range(1, 5):
        for day in (1, 15):
            moment = month(2020, number) + timedelta(days=day - 1, minutes=day)
            for trade_id in (1, 2):
                trade(connection, moment, trade_id, 10 * number + trade_id)
                quote(connection, moment, trade_id)
        trade(connection, month(2020, number + 1) - MICROSECOND, 9, number)
        quote(connection, month(2020, number + 1) - MICROSECOND, 9)
    now = datetime.now(UTC)
    trade(connection, now)
    quote(connection, now)


def since(time: datetime) -> timedelta:
    """A keep period that ends at the time, give or take a test's duration."""
    return datetime.now(UTC) - time


def keep_from(connection: Connection, time: datetime, *relations: str) -> None:
    """Let everything that ended half a day before the time be past its keep period."""
    keep(connection, **dict.fromkeys(relations, since(time + timedelta(hours=12))))
