"""What check_ids() and id_gaps() find, and what plain SQL may not insert."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors

from entasis_db.ingest import ingest_trades
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import by_key, with_months
from tests.db import Connection, count_within_timestamps, wipe
from tests.make import NOON, insert_trades, trade

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]

SPOT = {"symbol": "BTCUSDT", "exchange": "binance-spot"}
MINUTE = timedelta(minutes=1)
MS = timedelta(milliseconds=1)
US = timedelta(microseconds=1)


def check_ids(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT problem, first_id, last_id, first_time, last_time FROM entasis.check_ids()"
    ).fetchall()


def past_triggers(connection: Connection, *trades: Trade) -> None:
    """Insert as two loaders do that do not see each other: nobody compares."""
    make_months(connection)
    with connection.transaction():
        for each in trades:  # it holds for one statement
            connection.execute(
                "SELECT set_config('entasis.trade_ids', pg_current_xact_id()::text, true)"
            )
            insert_trades(connection, each)


def make_months(connection: Connection) -> None:
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)",
        [NOON - timedelta(days=2), NOON + timedelta(days=60)],
    )


@pytest.mark.one_session
@pytest.mark.parametrize("unit", [MS, timedelta(seconds=1)], ids=["ms", "s"])
def test_a_second_telling_is_found_and_removed(connection: Connection, unit: timedelta) -> None:
    told = trade(5, timestamp=NOON + 0.7 * unit + 3 * unit)
    again = told._replace(timestamp=NOON + 3 * unit)
    past_triggers(connection, trade(4), told)
    past_triggers(connection, again)
    oracle.refresh(connection)
    assert check_ids(connection) == [("repeated", 5, 5, again.timestamp, told.timestamp)]
    ((remedy,),) = connection.execute("SELECT remedy FROM entasis.check_ids()").fetchall()
    connection.execute(remedy)
    assert check_ids(connection) == []
    oracle.assert_candles_are_right(connection, by_key(trade(4), told))


def test_a_repeat_at_a_far_time_is_found_where_ids_are_the_exchanges(
    connection: Connection,
) -> None:
    rows = [trade(5), trade(5, timestamp=NOON + timedelta(days=40))]
    past_triggers(connection, *rows)
    assert check_ids(connection) == [], "nobody said what these ids are"
    connection.execute("SELECT entasis.record_id_space('BTC', 'x', 'trade', 's')")
    assert check_ids(connection) == [("repeated", 5, 5, *(row.timestamp for row in rows))]
    assert (
        connection.execute(
            "SELECT entasis.check_ids(%s, %s)", [NOON + MINUTE, NOON + timedelta(days=40)]
        ).fetchall()
        == []
    )
    wipe(connection)
    count_within_timestamps(connection, ("BTC", "x"))
    past_triggers(connection, *rows)
    assert check_ids(connection) == []


def test_ids_that_go_back_are_found(connection: Connection) -> None:
    connection.execute("SELECT entasis.record_id_space('BTCUSDT', 'binance-spot', 'trade', 's')")
    rows = [trade(n, timestamp=NOON + m * MINUTE, **SPOT) for m, n in enumerate((1, 2, 9, 4, 10))]
    past_triggers(connection, *rows)
    oracle.refresh(connection)
    assert check_ids(connection) == [("out of order", 4, 9, NOON + 2 * MINUTE, NOON + 3 * MINUTE)]


# --- plain SQL -----------------------------------------------------------------------------------


@pytest.mark.candle_tables
@pytest.mark.parametrize("recorded", [False, True], ids=["unknown", "recorded"])
def test_plain_sql_cannot_tell_a_trade_twice(connection: Connection, recorded: bool) -> None:
    if recorded:
        connection.execute("SELECT entasis.record_id_space('BTC', 'x', 'trade', 's')")
    make_months(connection)
    early, told = trade(4, timestamp=NOON - MINUTE), trade(5, timestamp=NOON + 123_456 * US)
    insert_trades(connection, early, told)
    for again in (NOON + 123 * MS, NOON):
        with (
            pytest.raises(errors.UniqueViolation, match=r"12:00:00\.123456"),
            connection.transaction(),
        ):
            insert_trades(connection, trade(6), told._replace(timestamp=again))
    with pytest.raises(errors.UniqueViolation), connection.transaction():
        insert_trades(connection, *(trade(7, timestamp=NOON + n * US) for n in (0, 400)))
    far = told._replace(timestamp=NOON + timedelta(days=3))
    if recorded:
        with pytest.raises(errors.UniqueViolation):
            insert_trades(connection, far)
    oracle.assert_candles_are_right(connection, by_key(early, told))
    assert connection.execute(
        "SELECT symbol, exchange, id_space FROM entasis.markets"
    ).fetchall() == [("BTC", "x", "trade" if recorded else None)]
    # the first loader says what they are
    ingest_trades(
        connection,
        [trade(9, timestamp=NOON + MINUTE)],
        source="a",
        id_space="aggtrade" if not recorded else "trade",
    )


@pytest.mark.candle_tables
def test_plain_sql_may_correct_a_time_in_one_transaction(connection: Connection) -> None:
    make_months(connection)
    told = trade(5, timestamp=NOON + 123_456 * US)
    insert_trades(connection, told)
    with connection.transaction():
        connection.execute("DELETE FROM entasis.market_data WHERE id = 5")
        insert_trades(connection, told._replace(timestamp=NOON + 123 * MS))
    oracle.assert_candles_are_right(connection, by_key(told._replace(timestamp=NOON + 123 * MS)))


# --- gaps ----------------------------------------------------------------------------------------


@given(
    present=st.lists(st.booleans(), min_size=1, max_size=40),
    steps=st.lists(st.sampled_from([0, 1, 20_000_000, 90_000_000]), min_size=40, max_size=40),
    units=st.sampled_from([["us"], ["ms", "us"]]),
)
def test_the_missing_ids(
    shared_connection: psycopg.Connection[Any],
    present: list[bool],
    steps: list[int],
    units: list[str],
) -> None:
    connection = shared_connection
    wipe(connection)
    moment, rows = NOON, []
    for number, (stored, step) in enumerate(zip(present, steps, strict=False)):
        moment += step * US
        if stored:
            rows.append(trade(number, timestamp=moment, **SPOT))
    connection.execute("SELECT entasis.record_id_space('BTCUSDT', 'binance-spot', 'trade', 's')")
    connection.execute("UPDATE entasis.markets SET time_units = %s", [units])
    past_triggers(connection, *rows)
    oracle.refresh(connection)
    found = connection.execute(
        "SELECT first_id, last_id, missing FROM entasis.id_gaps(%s, %s, %s, %s)",
        [*SPOT.values(), NOON - MINUTE, NOON + timedelta(days=2)],
    ).fetchall()
    missing = {n for first, last, count in found for n in range(first, last + 1)}
    stored_ids = {row.id for row in rows}
    assert (
        missing == set(range(min(stored_ids, default=0), max(stored_ids, default=0))) - stored_ids
    )
    assert sum(count for *_, count in found) == len(missing)


@pytest.mark.parametrize(
    ("exchange", "id_space"), [("binance-spot", "ordinal"), ("x", "trade"), ("okx", "trade")]
)
def test_gaps_that_nobody_knows(connection: Connection, exchange: str, id_space: str) -> None:
    gaps = "SELECT entasis.id_gaps('BTC', %s, '-infinity', 'infinity')"
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="nobody knows"):
        connection.execute(gaps, [exchange])
    connection.execute("SELECT entasis.record_id_space('BTC', %s, %s, 's')", [exchange, id_space])
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="nobody knows"):
        connection.execute(gaps, [exchange])


def test_markets_that_plain_sql_wrote_are_recorded_by_maintenance_at_the_latest(
    connection: Connection,
) -> None:
    with_months(connection)
    insert_trades(connection, trade(1), trade(1, exchange="y"))
    ingest_trades(connection, [trade(2, symbol="C")], source="a", id_space="trade")
    oracle.refresh(connection)
    connection.execute("CALL entasis.maintain()")
    assert connection.execute(
        "SELECT symbol, exchange, id_space, source FROM entasis.markets ORDER BY 1, 2"
    ).fetchall() == [("BTC", "x", None, "sql"), ("BTC", "y", None, "sql"), ("C", "x", "trade", "a")]
