"""Latest prices against a plain reading of all trades: late and excluded ones, floors, silence."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest

from entasis_db import queries
from entasis_db.model import Trade
from tests import oracle
from tests.contract.retention.support import keep_from, maintain
from tests.db import Connection, count_within_timestamps, earlier, ensure, fire_no_triggers, one
from tests.engines import Database
from tests.make import MICROSECOND, month
from tests.plans import Mode, count_reads

MODES: tuple[Mode, ...] = ("custom", "generic")
MARKETS = [("BTC", "x"), ("BTC", "y"), ("BTC", "z"), ("ETH", "x"), ("ETH", "y")]
INSERT = """
    INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume, excluded)
    SELECT %s, %s, %s, %s, %s, 1, %s
"""


def assert_latest_prices_are_right(connection: Connection, *absent: tuple[str, str]) -> None:
    """Compare with DISTINCT ON over all trades; markets without a trade have no price."""
    oracle.refresh(connection)
    expected = connection.execute(
        """
        SELECT DISTINCT ON (d.symbol, d.exchange)
            d.symbol, d.exchange, d.timestamp AT TIME ZONE 'UTC', d.id, d.price
        FROM entasis.market_data AS d WHERE d.excluded IS NULL
        ORDER BY d.symbol, d.exchange, d.timestamp DESC, d.id DESC
        """
    ).fetchall()
    assert list(map(_told, queries.latest_prices().fetch(connection))) == expected
    for row in expected:
        found = queries.latest_price(*row[:2]).fetch(connection)
        assert list(map(_told, found)) == [row]
    for market in absent:
        assert queries.latest_price(*market).fetch(connection) == []


def _told(trade: Trade) -> tuple[Any, ...]:
    time = trade.timestamp.astimezone(UTC).replace(tzinfo=None)
    return (trade.symbol, trade.exchange, time, trade.id, trade.price)


def test_random_writers_leave_them_right(connection: Connection) -> None:
    """Plain SQL of any kind, in months that come and go."""
    ensure(connection, "market_data", month(2024, 1), month(2024, 5))
    # else one id would be one trade, at whatever time
    count_within_timestamps(connection, *MARKETS)
    random, ids = Random(5), count(1)
    edges = [month(2024, n) + step for n in (2, 3, 4) for step in (-MICROSECOND, timedelta(0))]

    def time() -> datetime:
        if random.random() < 0.4:
            return random.choice(edges)
        return month(2024, 1) + timedelta(minutes=random.choice((1, 2, 90, 60000, 120000)))

    def insert() -> None:
        for _ in range(random.randint(1, 3)):
            word = random.choice((None, None, "block"))
            key = (*random.choice(MARKETS), time(), random.choice((next(ids), -next(ids))))
            connection.execute(INSERT.encode(), [*key, random.randint(1, 99), word])

    def change(text: str) -> Callable[[], None]:
        # of the newest and of any
        order = random.choice(("timestamp DESC, id DESC", "md5(id::text)"))
        statement = (
            f"{text} WHERE (symbol, exchange, timestamp, id) IN (SELECT symbol, exchange,"
            f" timestamp, id FROM entasis.market_data ORDER BY {order} LIMIT 2)"
        )
        return lambda: (connection.execute(statement.encode()), None)[1]

    set_to = "UPDATE entasis.market_data SET"
    for _ in range(12):
        random.choice(
            (
                insert,
                insert,
                insert,
                change("DELETE FROM entasis.market_data"),
                change(f"{set_to} excluded = 'confirmed_bad'"),
                change(f"{set_to} excluded = NULL"),
                change(f"{set_to} price = price + 1"),
                change(f"{set_to} timestamp = {earlier('timestamp', '1 second')}"),
            )
        )()
        assert_latest_prices_are_right(connection)


def test_a_trade_moved_to_a_new_market_is_its_latest(
    connection: Connection, database: Database
) -> None:
    ensure(connection, "market_data", month(2024, 1), month(2024, 2))
    for number in (1, 2):
        connection.execute(INSERT.encode(), ["OLD", "x", month(2024, 1), number, number, None])
    if database.can("moves_between_symbols"):
        connection.execute("UPDATE entasis.market_data SET symbol = 'NEW' WHERE id = 2")
        assert_latest_prices_are_right(connection)
    connection.execute("UPDATE entasis.market_data SET exchange = 'y' WHERE id = 1")
    moved = database.can("moves_between_symbols")
    assert_latest_prices_are_right(connection, *([("OLD", "x")] if moved else []))


def test_a_listed_market_without_trades_has_none(connection: Connection) -> None:
    ensure(connection, "market_data", month(2024, 1), month(2024, 2))
    connection.execute("SELECT entasis.set_market('BTC', 'y', '{}')")
    connection.execute(INSERT.encode(), ["BTC", "x", month(2024, 1), 1, 1, None])
    connection.execute(INSERT.encode(), ["BTC", "z", month(2024, 1), 1, 1, "block"])
    assert_latest_prices_are_right(connection, ("BTC", "y"), ("BTC", "z"))


def test_of_a_moment_the_largest_id_that_counts_is_the_latest(connection: Connection) -> None:
    ensure(connection, "market_data", month(2024, 1), month(2024, 2))
    _insert_of_a_moment(connection, "BTC", "x", month(2024, 1))
    connection.execute(INSERT.encode(), ["BTC", "w", month(2024, 1), 11, 11, None])
    connection.execute(INSERT.encode(), ["BTC", "y", month(2024, 1), 11, 11, None])
    assert_latest_prices_are_right(connection)


def _insert_of_a_moment(connection: Connection, symbol: str, exchange: str, time: datetime) -> None:
    for number, word in ((8, None), (9, None), (10, "block")):
        row = [symbol, exchange, time, number, number, word]
        connection.execute(INSERT.encode(), row)


def test_dropped_trades_are_no_prices_though_their_candles_stay(old: Connection) -> None:
    """Below the floor, only what was written into a reopened range is left."""
    gone = ("GONE", "one")
    start = month(2020, 1)
    for number, time in ((1, start), (2, start + timedelta(days=40))):
        old.execute(INSERT.encode(), [*gone, time, number, 5, None])
    assert_latest_prices_are_right(old)
    keep_from(old, month(2020, 4), "market_data", "option_data")
    maintain(old)
    assert one(old, "SELECT count(*) FROM entasis.ohlcv_1d WHERE symbol = 'GONE'") == 2
    assert_latest_prices_are_right(old, gone)
    # another market of the symbol, opened behind the floor, and one beside it that is above
    old.execute(
        "CALL entasis.reopen('market_data', %s, %s, 'GONE', 'two')", [start, month(2020, 2)]
    )
    for number in (1, 2):
        time = start + timedelta(days=number)
        old.execute(INSERT.encode(), ["GONE", "two", time, number, 7, None])
    _insert_of_a_moment(old, "GONE", "two", start + timedelta(days=2, hours=1))
    old.execute(INSERT.encode(), ["GONE", "three", month(2020, 5) - MICROSECOND, 1, 8, None])
    assert_latest_prices_are_right(old, gone)
    old.execute("DELETE FROM entasis.market_data WHERE exchange = 'two' AND id > 1")
    assert_latest_prices_are_right(old, gone)


def test_a_trade_is_found_however_long_ago_it_was(connection: Connection) -> None:
    """On both sides of where the ranges meet that are looked through, one after the other."""
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    ages = (0, 1, 3, 4, 15, 16, 63, 64, 190)
    edges = [_months_before(this_month, age) for age in ages] + [month(2009, 2)]
    for number, edge in enumerate(edges):
        ensure(connection, "market_data", edge - timedelta(days=1), edge + timedelta(days=1))
        for side, time in (("before", edge - MICROSECOND), ("at", edge)):
            key = [f"S{number}", side, time, 1, number + 1, None]
            connection.execute(INSERT.encode(), key)
            # not the only trade of its symbol, nor of its market
            older = time - timedelta(hours=1)
            connection.execute(INSERT.encode(), [*key[:2], older, 2, 77, None])
    # an exchange's clock may be ahead of the server's; not every engine records a market of today
    connection.execute("SELECT entasis.set_market('AHEAD', 'x', '{}')")
    connection.execute(INSERT.encode(), ["AHEAD", "x", datetime.now(UTC), 1, 1, None])
    ahead = datetime.now(UTC) + timedelta(minutes=4)
    ensure(connection, "market_data", ahead, ahead + timedelta(days=1))
    connection.execute(INSERT.encode(), ["AHEAD", "x", ahead, 2, 2, None])
    assert_latest_prices_are_right(connection)


def _months_before(start: datetime, months: int) -> datetime:
    number = start.year * 12 + start.month - 1 - months
    return start.replace(year=number // 12, month=number % 12 + 1)


@pytest.mark.candle_tables
def test_a_candle_whose_trades_are_missing_hides_no_older_trade(connection: Connection) -> None:
    """Deleted where no trigger saw it: from the same month, and from the whole of it."""
    now = datetime.now(UTC)
    start = month(now.year, now.month)
    ensure(connection, "market_data", month(2024, 1), month(2024, 2))
    ensure(connection, "market_data", start, start + timedelta(days=1))
    times = [month(2024, 1), month(2024, 1) + timedelta(hours=2), start]
    for number, time in enumerate(times):
        connection.execute(INSERT.encode(), ["BTC", "x", time, number, number + 1, None])
    connection.execute(INSERT.encode(), ["ETH", "x", times[0], 1, 1, None])
    for number in (2, 1, 0):
        with connection.transaction():
            fire_no_triggers(connection)
            connection.execute(
                "DELETE FROM entasis.market_data WHERE symbol = 'BTC' AND id = %s", [number]
            )
        assert_latest_prices_are_right(connection, *[("BTC", "x")] * (number == 0))
    assert one(connection, "SELECT count(*) FROM entasis.ohlcv_1m WHERE symbol = 'BTC'") == 3


@pytest.mark.candle_tables
def test_a_floor_inside_a_minute_hides_no_trade_above_it(connection: Connection) -> None:
    """The candle of that minute is not believed, nor are those below it."""
    start = month(2024, 1)
    ensure(connection, "market_data", start, month(2024, 2))
    for symbol, seconds in (("A", (10, 40)), ("B", (10,)), ("C", (40, 60)), ("D", (59.999999,))):
        for number, second in enumerate(seconds):
            time = start + timedelta(days=3, seconds=second)
            connection.execute(INSERT.encode(), [symbol, "x", time, number, 1, None])
    connection.execute(INSERT.encode(), ["E", "x", start, 1, 1, None])
    with connection.transaction():
        fire_no_triggers(connection)
        connection.execute(INSERT.encode(), ["E", "x", start + timedelta(days=1), 2, 2, None])
    connection.execute(
        "UPDATE entasis.floors SET floor = %s WHERE relation = 'market_data'",
        [start + timedelta(days=3, seconds=30)],
    )
    assert_latest_prices_are_right(connection)


@pytest.mark.candle_tables
@pytest.mark.one_server
def test_a_silent_market_reads_as_little_as_a_busy_one(connection: Connection) -> None:
    """The trades of its symbol on another exchange lie between its last and the end of the key."""
    start = month(2024, 1)
    ensure(connection, "market_data", start, month(2024, 2))
    connection.execute(INSERT.encode(), ["BTC", "silent", start, 1, 1, None])
    connection.execute(
        """
        INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
        SELECT 'BTC', 'busy', %s + n * interval '1 second', n, 1, 1
        FROM generate_series(1, 8000) AS n
        """,
        [start],
    )
    connection.execute("VACUUM ANALYZE entasis.market_data")
    connection.execute("VACUUM ANALYZE entasis.ohlcv_1m")
    for exchange in ("busy", "silent"):
        assert _blocks(connection, queries.latest_price("BTC", exchange)) < 30
    assert _blocks(connection, queries.latest_prices()) < 60
    # a candle and a trade of each
    rows = count_reads(connection, queries.latest_prices()).rows
    assert (rows["ohlcv_1m_y2024m01"], rows["market_data_y2024m01"]) == (2, 2)


def _blocks(connection: Connection, statement: queries.Statement[Trade]) -> int:
    """Count the blocks of a second call: the first plans, and looks at both ends of indexes."""
    return max(
        [count_reads(connection, statement, mode).blocks for _ in range(2)][-1] for mode in MODES
    )
