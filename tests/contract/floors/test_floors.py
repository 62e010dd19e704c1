"""The floor: nothing below it is written, made again, refreshed or rebuilt."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import errors

from tests import oracle
from tests.contract.retention.support import (
    CANDLES,
    FOREVER,
    RELATIONS,
    ended,
    floors,
    insert_quote,
    insert_trade,
    keep,
    keep_from,
    load_old_rows,
    maintain,
    partitions,
    since,
    top,
)
from tests.db import Connection, ensure, fire_no_triggers, refused, violates
from tests.engines import Database, Prepare
from tests.make import INSERT_QUOTE, INSERT_TRADE, MICROSECOND, month

pytestmark = pytest.mark.newest_server

# --- What goes, and what stays -------------------------------------------------------------------


def test_the_floor_of_candles_is_one_of_trades(old: Connection) -> None:
    oracle.refresh(old)
    # only a hand-made gap brings candles to go before trades: their partitions are gone already
    for (table,) in old.execute(
        "SELECT partition_oid::regclass::text FROM entasis_internal.partitions_of('market_data')"
        " WHERE to_time <= %s",
        [month(2020, 2)],
    ).fetchall():
        old.execute(f"DROP TABLE {table}")
    keep_from(old, month(2020, 2), "market_data", *CANDLES)
    floor = top(ended(old, "ohlcv_1m", month(2020, 2)))
    maintain(old)
    assert floors(old) == {r: FOREVER if r == "option_data" else floor for r in RELATIONS}
    with pytest.raises(errors.CheckViolation):
        ensure(old, "market_data", month(2020, 1), month(2020, 2))


def test_a_floor_that_does_not_rise_was_not_raised(connection: Connection) -> None:
    raised = []
    for time in (month(2020, 2), month(2020, 2), month(2020, 1)):
        connection.execute("SELECT entasis_internal.raise_floor('market_data', %s)", [time])
        raised += connection.execute(
            "SELECT floor, raised_at FROM entasis.floors WHERE relation = 'market_data'"
        ).fetchall()
    assert raised[0][1] is not None
    assert raised == [raised[0]] * 3


@pytest.mark.parametrize("bounds", [(None, "2020-02-01"), ("2020-02-01", None), (None, None)])
def test_a_range_has_two_bounds(shared_connection: Connection, bounds: tuple[str, str]) -> None:
    with pytest.raises(errors.NullValueNotAllowed):
        shared_connection.execute("SELECT entasis_internal.check_range_bounds(%s, %s)", bounds)
    with pytest.raises(errors.InvalidParameterValue):
        shared_connection.execute("SELECT entasis_internal.check_range_bounds('today', 'today')")


# --- Below the floor -----------------------------------------------------------------------------


def drop_the_first_months(connection: Connection) -> None:
    """Drop what ended before 2020-03, of trades and quotes."""
    load_old_rows(connection)
    keep_from(connection, month(2020, 3), "market_data", "option_data")
    maintain(connection)
    reached = floors(connection)
    assert reached["market_data"] == reached["option_data"] > month(2020, 2)


@pytest.fixture
def prepare(request: pytest.FixtureRequest, prepare: Prepare | None) -> Prepare | None:
    return drop_the_first_months if "floored" in request.fixturenames else prepare


@pytest.fixture
def floored(connection: Connection) -> Connection:
    """What ended before 2020-03 is dropped, of trades and quotes."""
    return connection


def _remake_by_hand(connection: Connection, database: Database, relation: str) -> None:
    """Let there be a partition below the floor, so that only a trigger can object to a row."""
    if database.can("monthly_partitions"):  # a chunk comes with its row
        connection.execute(
            f"CREATE TABLE entasis.{relation}_by_hand PARTITION OF entasis.{relation}"
            " FOR VALUES FROM ('2020-02-01 00:00:00+00') TO ('2020-03-01 00:00:00+00')"
        )


def _not_moved(connection: Connection, relation: str, query: str, *parameters: Any) -> None:
    with pytest.raises(errors.CheckViolation) as caught:
        connection.execute(query, parameters)
    # a chunk's own constraint lets no row leave it
    name = caught.value.diag.constraint_name or ""
    if not re.fullmatch(r"constraint_\d+", name):
        violates(connection, caught.value, f"{relation}_floor")


def test_what_is_gone_is_not_made_again(floored: Connection) -> None:
    for relation in ("market_data", "option_data"):
        for from_time in (month(2020, 1), floors(floored)[relation] - MICROSECOND):
            with pytest.raises(errors.CheckViolation) as caught:
                ensure(floored, relation, from_time, month(2020, 4))
            assert caught.value.diag.constraint_name == f"{relation}_floor"
        assert ensure(floored, relation, month(2020, 3), month(2020, 4)) == 0
    for put in (insert_trade, insert_quote):
        with pytest.raises(
            errors.CheckViolation, match=r"no partition of relation|past its keep period"
        ):
            put(floored, month(2020, 2))


@pytest.mark.parametrize("relation", ["market_data", "option_data"])
def test_nothing_is_written_below_the_floor(
    floored: Connection, database: Database, relation: str
) -> None:
    oracle.refresh(floored)
    candles = oracle.stored_candles(floored)
    statement = INSERT_TRADE if relation == "market_data" else INSERT_QUOTE
    values = [10] if relation == "market_data" else []
    first = floors(floored)[relation]
    last = first - MICROSECOND
    _remake_by_hand(floored, database, relation)

    refused(floored, relation, statement, 50, last, *values)
    # one row below it is enough, and none of the statement stays
    with pytest.raises(errors.CheckViolation), floored.transaction():
        floored.execute(statement, [50, first, *values])
        floored.execute(statement, [50, month(2020, 2), *values])
    floored.execute(statement, [51, first, *values])
    floored.execute(f"DELETE FROM entasis.{relation} WHERE id = 51")
    # moving down, and what went past the triggers
    _not_moved(
        floored,
        relation,
        f"UPDATE entasis.{relation} SET timestamp = %s WHERE id = 1 AND timestamp < '2020-03-10'",
        last,
    )
    with floored.transaction():
        fire_no_triggers(floored)
        floored.execute(statement, [60, last, *values])
    refused(floored, relation, f"DELETE FROM entasis.{relation} WHERE id = 60")
    refused(floored, relation, f"UPDATE entasis.{relation} SET id = 61 WHERE id = 60")
    _not_moved(
        floored, relation, f"UPDATE entasis.{relation} SET timestamp = %s WHERE id = 60", first
    )
    refused(floored, relation, f"DELETE FROM entasis.{relation}")
    oracle.refresh(floored)
    assert oracle.stored_candles(floored) == candles


@pytest.mark.copy
@pytest.mark.copy_errors
def test_copy_below_the_floor_is_refused(floored: Connection, database: Database) -> None:
    _remake_by_hand(floored, database, "market_data")
    with (
        pytest.raises(errors.CheckViolation) as caught,
        floored.cursor() as cursor,
        cursor.copy(
            "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume) FROM STDIN"
        ) as copy,
    ):
        copy.write_row((1, "BTC", "one", month(2020, 3), 1, 1))
        copy.write_row((1, "BTC", "one", month(2020, 2), 1, 1))
    assert caught.value.diag.constraint_name == "market_data_floor"


def test_check_and_rebuild_leave_what_lies_below_the_floor_alone(floored: Connection) -> None:
    candles = oracle.stored_candles(floored)
    assert candles["1d"]["BTC", "one", month(2020, 1)].trades == 2
    for from_time, to_time in (
        ("-infinity", "infinity"),
        (month(2020, 1), month(2020, 2)),
        (month(2020, 2) + timedelta(days=20), month(2020, 3) + timedelta(days=3)),
    ):
        found = floored.execute(
            "SELECT * FROM entasis.check_candles(%s, %s)", [from_time, to_time]
        ).fetchall()
        assert found == []
        floored.execute("CALL entasis.rebuild_candles(%s, %s)", [from_time, to_time])
        assert oracle.stored_candles(floored) == candles
    # above the floor they do their work
    oracle.refresh(floored)
    floored.execute(f"UPDATE {oracle.candle_table(floored, '1m')} SET high = high + 1")
    floored.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    assert floored.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
    mended = oracle.stored_candles(floored)["1m"]
    for key, candle in candles["1m"].items():
        damaged = key[2] < floors(floored)["market_data"]
        assert mended[key].high == candle.high + (1 if damaged else 0)


@pytest.mark.candle_tables
def test_a_day_of_a_market_below_the_floor_is_not_rebuilt(
    floored: Connection, database: Database
) -> None:
    with pytest.raises(errors.CheckViolation):
        floored.execute(
            "SELECT entasis_internal.rebuild_market_day('BTC', 'one', %s)", [month(2020, 1)]
        )


def test_a_correction_at_the_floor_leaves_the_candles_below_it(floored: Connection) -> None:
    """The first trades above the floor share a week with trades that are gone."""
    candles = oracle.stored_candles(floored)
    floored.execute(
        "UPDATE entasis.market_data SET price = 1"
        " WHERE timestamp >= '2020-03-01Z' AND timestamp < '2020-03-02Z'"
    )
    oracle.refresh(floored)
    after = oracle.stored_candles(floored)
    for level in oracle.STORED:
        for key, candle in candles[level].items():
            if key[2] < month(2020, 3):
                assert after[level][key] == candle
    assert after["1d"]["BTC", "one", month(2020, 3)].high == 1
    # the month below the floor and the days of the week below it are still counted
    week = after["1w"]["BTC", "one", datetime(2020, 2, 24, tzinfo=UTC)]
    assert (week.open, week.low, week.trades) == (2, 1, 3)


# --- Making partitions ---------------------------------------------------------------------------


def test_check_and_rebuild_work_with_a_floor_within_a_day(
    admin: Connection, database: Database
) -> None:
    keep(admin, **dict.fromkeys(RELATIONS))
    noon = datetime(2020, 1, 15, 12, tzinfo=UTC)
    if database.can("hypertables"):
        # what a DBA may do who has more trades a second than seven days take
        admin.execute("SELECT set_chunk_time_interval('entasis.market_data', interval '12 hours')")
    else:
        for name, begin, end in (("one", month(2020, 1), noon), ("two", noon, month(2020, 2))):
            admin.execute(
                f"CREATE TABLE entasis.{name} PARTITION OF entasis.market_data"
                f" FOR VALUES FROM ('{begin}') TO ('{end}')"
            )
            admin.execute(f"ALTER TABLE entasis.{name} OWNER TO entasis_owner")
        ensure(admin, "market_data", month(2020, 1), month(2020, 2))
    for hours in (-1, 1, 30):
        insert_trade(admin, noon + timedelta(hours=hours))
    candles = oracle.stored_candles(admin)
    keep(admin, market_data=since(noon + timedelta(hours=6)))
    maintain(admin)
    assert floors(admin)["market_data"] == noon
    assert min(partitions(admin, "market_data")) == noon
    assert admin.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
    admin.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    assert oracle.stored_candles(admin) == candles
