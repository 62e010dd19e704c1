"""What the tests of retention and floors share: keep periods, partitions, and old rows in them."""

from datetime import UTC, datetime, timedelta

import psycopg

from tests.db import Connection, discard, ensure
from tests.make import INSERT_QUOTE, INSERT_TRADE, MICROSECOND, month

CANDLES = ("ohlcv_1m", "ohlcv_1h", "ohlcv_1d")

RELATIONS = ("market_data", "option_data", *CANDLES)


FOREVER = datetime.min.replace(tzinfo=UTC)


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
            "SELECT relation, CASE WHEN isfinite(floor) THEN floor ELSE %s END FROM entasis.floors"
            " WHERE relation = ANY (%s)",
            [FOREVER, list(RELATIONS)],
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


def insert_trade(
    connection: Connection, time: datetime, trade_id: int = 1, price: int = 10
) -> None:
    connection.execute(INSERT_TRADE, [trade_id, time, price])


def insert_quote(connection: Connection, time: datetime, quote_id: int = 1) -> None:
    connection.execute(INSERT_QUOTE, [quote_id, time])


def _load(connection: Connection) -> None:
    trades: list[tuple[int, datetime, int]] = []
    for number in range(1, 5):
        for day in (1, 15):
            moment = month(2020, number) + timedelta(days=day - 1, minutes=day)
            trades += [(trade_id, moment, 10 * number + trade_id) for trade_id in (1, 2)]
        trades.append((9, month(2020, number + 1) - MICROSECOND, number))
    trades.append((1, datetime.now(UTC), 10))
    columns = [list(column) for column in zip(*trades, strict=True)]
    # one statement a relation: on WebAssembly each takes as long as all its rows
    connection.execute(
        "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
        " SELECT t.id, 'BTC', 'one', t.time, t.price, 1"
        " FROM unnest(%s::bigint[], %s::timestamptz[], %s::numeric[]) AS t (id, time, price)",
        columns,
    )
    connection.execute(
        "INSERT INTO entasis.option_data"
        " (id, underlying, strike_price, expiry_date, option_type, iv, timestamp)"
        " SELECT t.id, 'BTC', 100, '2030-01-01', 'call', 0.5, t.time"
        " FROM unnest(%s::bigint[], %s::timestamptz[]) AS t (id, time)",
        columns[:2],
    )


def load_old_rows(connection: Connection) -> None:
    """Load trades and quotes of 2020-01 to 2020-04, and of today; nothing is dropped yet."""
    discard(connection)
    keep(connection, **dict.fromkeys(RELATIONS))
    for relation in ("market_data", "option_data"):
        ensure(connection, relation, month(2020, 1), month(2020, 5))
    with connection.transaction():  # a job may refresh candles meanwhile, and the rest is late
        _load(connection)


def since(time: datetime) -> timedelta:
    """A keep period that ends at the time, give or take a test's duration."""
    return datetime.now(UTC) - time


def keep_from(connection: Connection, time: datetime, *relations: str) -> None:
    """Let everything that ended half a day before the time be past its keep period."""
    keep(connection, **dict.fromkeys(relations, since(time + timedelta(hours=12))))
