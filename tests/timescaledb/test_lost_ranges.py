"""Candles of chunks that were dropped by hand: a refresh takes nothing from them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests import make, oracle
from tests.db import Connection, one
from tests.make import D, insert_trades
from tests.timescaledb.columnstore import compress

pytestmark = pytest.mark.hypertables

THURSDAY = datetime(2025, 2, 6, tzinfo=UTC)  # when a chunk begins
DAY = timedelta(days=1)
ANY_TIME = ("-infinity", "infinity")

# seconds, price and volume of trades: what is known of each minute
KNOWN = [(10, "10", "1"), (20, "12", "1"), (30, "8", "1")]
# what is told of it when its chunk is gone, and whether it may be all that was
LATER = {
    "as many": ([(10, "8", "1"), (20, "11", "1"), (30, "12", "1")], True),
    "more": ([(9, "7", "1"), (20, "11", "3"), (25, "9", "1"), (31, "13", "1")], True),
    "fewer": ([(10, "12", "2"), (30, "8", "1")], False),
    "less volume": ([(10, "8", "1"), (20, "11", "0.9"), (30, "12", "1")], False),
    "lower": ([(10, "8", "1"), (20, "11", "1"), (30, "11.9", "1")], False),
    "higher": ([(10, "8.1", "1"), (20, "11", "1"), (30, "12", "1")], False),
    "begun later": ([(11, "8", "1"), (20, "11", "1"), (30, "12", "1")], False),
    "ended earlier": ([(10, "8", "1"), (20, "11", "1"), (29, "12", "1")], False),
}


def tell(connection: Connection, day: datetime, minute: int, trades: Any, first_id: int) -> None:
    insert_trades(
        connection,
        *(
            make.trade(
                first_id + n,
                timestamp=day + timedelta(minutes=minute, seconds=second),
                price=D(price),
                volume=D(volume),
            )
            for n, (second, price, volume) in enumerate(trades)
        ),
    )


def refresh(connection: Connection) -> None:
    connection.execute("CALL entasis.refresh_candles(%s, %s)", ANY_TIME)


def drop_chunk(connection: Connection, relation: str, time: datetime) -> None:
    chunk = one(
        connection,
        "SELECT p.partition_oid::regclass::text FROM entasis_internal.partitions_of(%s) AS p"
        " WHERE p.from_time <= %s AND p.to_time > %s",
        *(relation, time, time),
    )
    connection.execute(f"DROP TABLE {chunk}".encode())


def marked(connection: Connection) -> list[Any]:
    return connection.execute(
        "SELECT relation, (SELECT array_agg(lower(r)::timestamp || ' ' || upper(r)::timestamp)"
        " FROM unnest(ranges) AS r) FROM entasis_internal.lost_ranges ORDER BY relation"
    ).fetchall()


@pytest.mark.parametrize(
    "compressed", [False, pytest.param(True, marks=pytest.mark.columnstore_writes)]
)
def test_a_candle_gives_way_only_to_one_that_may_count_all_of_its_trades(
    quiet: Connection, compressed: bool
) -> None:
    quiet.execute("SET timezone = 'UTC'")
    for minute in range(len(LATER)):
        tell(quiet, THURSDAY, minute, KNOWN, 10 * minute)
    refresh(quiet)
    if compressed:
        compress(quiet)
    before = oracle.stored_candles(quiet)["1m"]
    drop_chunk(quiet, "market_data", THURSDAY)
    for minute, (trades, _) in enumerate(LATER.values()):
        tell(quiet, THURSDAY, minute, trades, 1000 + 10 * minute)
    refresh(quiet)
    assert marked(quiet) == [("market_data", ["2025-02-06 00:00:00 2025-02-13 00:00:00"])]
    # a second refresh, and one of somebody else, computes as before
    quiet.execute(
        "CALL public.refresh_continuous_aggregate('entasis.ohlcv_1m', NULL, NULL, force => true)"
    )
    after = oracle.stored_candles(quiet)["1m"]
    for minute, (name, (trades, replaces)) in enumerate(LATER.items()):
        key = ("BTC", "x", THURSDAY + timedelta(minutes=minute))
        if replaces:
            assert after[key].trades == len(trades), name
            assert after[key].first_trade_id == 1000 + 10 * minute
            assert after[key].open == Decimal(trades[0][1])
            assert after[key].volume == sum(Decimal(volume) for _, _, volume in trades)
        else:
            assert after[key] == before[key], name
    quiet.execute("CALL entasis.rebuild_candles(%s, %s, true)", [THURSDAY, THURSDAY + DAY])
    oracle.assert_candles_are_right(quiet)


@pytest.mark.native_speed
def test_only_the_days_that_are_rebuilt_are_given_up(quiet: Connection) -> None:
    quiet.execute("SET timezone = 'UTC'")
    days = [THURSDAY + n * DAY for n in (0, 3, 8)]
    for n, day in enumerate(days):
        tell(quiet, day, 0, KNOWN, 10 * n)
    refresh(quiet)
    # noted before it is made again, too
    drop_chunk(quiet, "market_data", THURSDAY)
    quiet.execute("CALL entasis.maintain()")
    assert marked(quiet) == [("market_data", ["2025-02-06 00:00:00 2025-02-13 00:00:00"])]
    for n, day in enumerate(days):
        tell(quiet, day, 0, [(5, "9", "1")], 1000 + n)
    refresh(quiet)
    before = oracle.stored_candles(quiet)["1d"]
    assert [candle.trades for candle in before.values()] == [3, 3, 4]
    noon = timedelta(hours=12)
    quiet.execute("CALL entasis.rebuild_candles(%s, %s, true)", [days[1] - noon, days[1] + DAY])
    assert marked(quiet) == [
        (
            "market_data",
            ["2025-02-06 00:00:00 2025-02-08 00:00:00", "2025-02-10 00:00:00 2025-02-13 00:00:00"],
        )
    ]
    after = oracle.stored_candles(quiet)["1d"]
    assert [candle.trades for candle in after.values()] == [3, 1, 4]


@pytest.mark.native_speed
def test_candles_are_kept_where_shorter_ones_were_dropped(quiet: Connection) -> None:
    """And what is dropped is noted once: a rebuild ends it."""
    for minute in range(2):
        tell(quiet, THURSDAY, minute, KNOWN, 10 * minute)
    refresh(quiet)
    # notes the chunk that the first has made
    refresh(quiet)
    drop_chunk(quiet, "ohlcv_1m", THURSDAY)
    tell(quiet, THURSDAY, 0, [(40, "9", "1")], 1000)
    refresh(quiet)
    candles = oracle.stored_candles(quiet)
    assert [c.trades for c in candles["1m"].values()] == [4]
    assert [c.trades for c in candles["1d"].values()] == [6]
    quiet.execute("CALL entasis.rebuild_candles(%s, %s)", ANY_TIME)
    refresh(quiet)
    assert marked(quiet) == [("ohlcv_1m", None)]
    oracle.assert_candles_are_right(quiet)
    quiet.execute("DELETE FROM entasis.market_data WHERE id = 1000")
    refresh(quiet)
    oracle.assert_candles_are_right(quiet)


@pytest.mark.native_speed
def test_below_the_floor_maintenance_decides(quiet: Connection) -> None:
    weeks = [THURSDAY, THURSDAY + 7 * DAY, THURSDAY + 14 * DAY]
    for n, day in enumerate(weeks[:2]):
        tell(quiet, day, 0, KNOWN, 10 * n)
    refresh(quiet)
    drop_chunk(quiet, "market_data", weeks[0])
    refresh(quiet)
    quiet.execute("SELECT entasis_internal.raise_floor('market_data', %s)", [weeks[2]])
    drop_chunk(quiet, "market_data", weeks[1])
    refresh(quiet)
    assert len(marked(quiet)) == 1
    # what is open again is computed from its trades, which are all there
    quiet.execute(
        "INSERT INTO entasis.reopened (relation, from_time, to_time, keep_until, opened_at)"
        " VALUES ('market_data', %s, %s, 'infinity', now())",
        [weeks[0], weeks[2]],
    )
    for n, day in enumerate(weeks[:2]):
        tell(quiet, day, 0, [(5, "9", "1")], 1000 + n)
    refresh(quiet)
    assert [candle.trades for candle in oracle.stored_candles(quiet)["1m"].values()] == [1, 1]
