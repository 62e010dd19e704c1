"""A candle that counts more trades than there are is the last that is known of them, and stays."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg import errors

from entasis_db.model import Trade
from tests import oracle
from tests.contract.candles.support import make_months, trade
from tests.db import Connection, fire_no_triggers, health, one
from tests.engines import Database, Prepare
from tests.make import insert_trades

pytestmark = pytest.mark.newest_server

DAY = datetime(2025, 2, 3, tzinfo=UTC)
WEEK = DAY, DAY + timedelta(days=7)
MONTH = datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)


def trade_a_hundred(connection: Connection) -> None:
    make_months(connection)
    insert_trades(connection, *(trade(DAY + timedelta(minutes=7 * n), n) for n in range(100)))
    insert_trades(
        connection,
        trade(DAY + timedelta(hours=3))._replace(symbol="ETH"),
        trade(MONTH[1] + timedelta(days=2), 101),
    )
    oracle.assert_candles_are_right(connection)


@pytest.fixture
def prepare(request: pytest.FixtureRequest) -> Prepare:
    """What ``hundred`` has, for the tests that ask for it."""
    return trade_a_hundred if "hundred" in request.fixturenames else make_months


@pytest.fixture
def hundred(connection: Connection) -> Connection:
    """A hundred trades of one market on DAY, one of another, and one of the next month."""
    return connection


def missing(connection: Connection, *time_range: datetime) -> dict[str, int]:
    """How many trades are missing where: hours that agree with their minutes are not reported."""
    marks = ", ".join(["%s"] * len(time_range))
    found: dict[str, int] = {}
    for relation, problem, count in connection.execute(
        f"SELECT relation, problem, missing_trades FROM entasis.check_candles({marks})".encode(),
        time_range,
    ):
        assert (problem == "missing trades") == (count > 0)
        found[relation] = found.get(relation, 0) + count
    return found


def rebuild(connection: Connection, *arguments: Any) -> None:
    marks = ", ".join(["%s"] * len(arguments))
    connection.execute(f"CALL entasis.rebuild_candles({marks})".encode(), arguments)


def refuses_to_rebuild(connection: Connection, days: int = 1) -> None:
    """See it refused, and nothing changed; days that lack nothing are rebuilt."""
    before = oracle.stored_candles(connection)
    for time_range in (WEEK, MONTH, ("-infinity", "infinity")):
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as caught:
            rebuild(connection, *time_range)
        assert f"candles of {days} market days, from 2025-02-03" in str(caught.value)
    rebuild(connection, DAY + timedelta(days=1), datetime(2025, 4, 1, tzinfo=UTC))
    oracle.refresh(connection)
    assert oracle.stored_candles(connection) == before


def past_triggers(connection: Connection, statement: str) -> None:
    """Change trades as replication does, or somebody who disables triggers."""
    with connection.transaction():
        fire_no_triggers(connection)
        connection.execute(statement.encode())


def partition_of_day(connection: Connection) -> str:
    return str(
        one(
            connection,
            "SELECT p.partition_oid::regclass::text"
            " FROM entasis_internal.partitions_of('market_data') AS p"
            " WHERE from_time <= %s AND to_time > %s",
            DAY,
            DAY,
        )
    )


def test_a_partition_dropped_by_hand_takes_no_candle_with_it(
    hundred: Connection, database: Database
) -> None:
    note_chunks(hundred, database)
    assert health(hundred, "market_data")["gone_without_archive"] == []
    hundred.execute(f"DROP TABLE {partition_of_day(hundred)}".encode())
    oracle.refresh(hundred)
    assert missing(hundred) == {"ohlcv_1m": 101}
    refuses_to_rebuild(hundred, days=2)
    # noted when it was made: no maintenance has run yet
    (gone,) = health(hundred, "market_data")["gone_without_archive"]
    assert gone.lower <= DAY < gone.upper
    # who knows that they are gone for good
    rebuild(hundred, *WEEK, True)
    assert [c for c in oracle.stored_candles(hundred)["1d"] if c[2] == DAY] == []
    oracle.assert_candles_are_right(hundred)


def note_chunks(connection: Connection, database: Database) -> None:
    """Do what TimescaleDB's scheduler does each minute."""
    if database.can("hypertables"):
        connection.execute("CALL entasis_internal.refresh_job(0, '{}')")


def late(connection: Connection, *trades: Trade) -> None:
    """Insert trades as a loader does, who makes the months that they need."""
    connection.execute("SELECT entasis.ensure_partitions('market_data', %s, %s)", MONTH)
    insert_trades(connection, *trades)
    oracle.refresh(connection)


@pytest.mark.parametrize(
    "how",
    [
        "DROP TABLE",
        pytest.param("drop_chunks", marks=[pytest.mark.hypertables, pytest.mark.native_speed]),
    ],
)
def test_a_late_trade_where_a_partition_was_dropped_takes_nothing_from_candles(
    hundred: Connection, database: Database, how: str
) -> None:
    told = [trade(DAY + timedelta(minutes=7 * n), n) for n in range(100)]
    note_chunks(hundred, database)
    before = oracle.stored_candles(hundred)
    if how == "drop_chunks":
        hundred.execute(
            "SELECT drop_chunks('entasis.market_data', %s::timestamptz)",
            [DAY + timedelta(days=14)],
        )
    else:
        hundred.execute(f"DROP TABLE {partition_of_day(hundred)}".encode())
    other = [trade(DAY + timedelta(seconds=n), n)._replace(symbol="NEW") for n in range(2)]
    # of the same minute as a known trade, cheaper, larger, and one of a market that was never known
    late(hundred, trade(DAY + timedelta(seconds=9), 900, price="1", volume="50"), other[0])
    after = oracle.stored_candles(hundred)
    for level, candles in before.items():
        for key, candle in candles.items():
            assert after[level][key].trades >= candle.trades
            assert after[level][key].closed_at >= candle.closed_at
            assert after[level][key].volume >= candle.volume
    # the late trade is merged, or else counts as one of its minute
    lost = 101 if database.can("candle_tables") else 100
    assert sum(missing(hundred).values()) == lost
    # others have lost nothing
    late(hundred, other[1])
    counted = oracle.stored_candles(hundred)["1d"]["NEW", "one", DAY]
    assert (counted.trades, counted.volume) == (2, Decimal(2))
    if not database.can("candle_tables"):
        # told again, and told better
        late(hundred, *told, trade(DAY + timedelta(hours=3))._replace(symbol="ETH"))
        assert missing(hundred) == {}
        oracle.assert_candles_are_right(hundred)
        hundred.execute("DELETE FROM entasis.market_data WHERE id = 50")
        oracle.refresh(hundred)
        assert missing(hundred) == {"ohlcv_1m": 1}
    rebuild(hundred, *WEEK, True)
    oracle.assert_candles_are_right(hundred)
    hundred.execute("DELETE FROM entasis.market_data WHERE id = 1 AND symbol = 'NEW'")
    oracle.refresh(hundred)
    oracle.assert_candles_are_right(hundred)


def test_ninety_nine_of_a_hundred_trades_are_missed(
    hundred: Connection, database: Database
) -> None:
    past_triggers(hundred, "DELETE FROM entasis.market_data WHERE symbol = 'BTC' AND id < 99")
    assert missing(hundred) == {"ohlcv_1m": 99}
    oracle.refresh(hundred)
    if oracle.stored_candles(hundred)["1d"]["BTC", "one", DAY].trades == 1:
        # TimescaleDB may note a DELETE for its aggregates although no trigger fires
        assert not database.can("candle_tables")
        assert missing(hundred) == {}
        return
    assert missing(hundred) == {"ohlcv_1m": 99}
    assert missing(hundred, DAY + timedelta(days=1), MONTH[1]) == {}
    refuses_to_rebuild(hundred)
    rebuild(hundred, *WEEK, True)
    oracle.assert_candles_are_right(hundred)
    assert oracle.stored_candles(hundred)["1d"]["BTC", "one", DAY].trades == 1


@pytest.mark.candle_tables
@pytest.mark.parametrize(
    ("gone", "left"), [(["1m"], "1h"), (["1m", "1h"], "1d"), (["1h", "1d"], "1m")]
)
def test_trades_that_one_interval_alone_still_counts_are_missed(
    hundred: Connection, gone: list[str], left: str
) -> None:
    past_triggers(hundred, "DELETE FROM entasis.market_data WHERE symbol = 'BTC' AND id < 99")
    for level in gone:
        hundred.execute(
            f"DELETE FROM entasis.ohlcv_{level} WHERE symbol = 'BTC' AND bucket < %s".encode(),
            [MONTH[1]],
        )
    assert {r: n for r, n in missing(hundred).items() if n} == {f"ohlcv_{left}": 99}
    refuses_to_rebuild(hundred)


def test_as_many_trades_as_counted_are_not_missing(hundred: Connection) -> None:
    """They are others, and the candle is wrong."""
    past_triggers(hundred, "UPDATE entasis.market_data SET price = 77 WHERE id = 50")
    past_triggers(
        hundred,
        "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
        f" VALUES (900, 'BTC', 'one', '{DAY + timedelta(minutes=1)}', 1, 1)",
    )
    assert set(missing(hundred).values()) == {0}
    rebuild(hundred, *WEEK)
    oracle.assert_candles_are_right(hundred)
    assert oracle.stored_candles(hundred)["1d"]["BTC", "one", DAY].trades == 101


def test_a_trade_that_was_corrected_or_deleted_is_not_missing(hundred: Connection) -> None:
    hundred.execute("DELETE FROM entasis.market_data WHERE id = 5")
    hundred.execute("UPDATE entasis.market_data SET volume = 9 WHERE id = 6")
    hundred.execute("DELETE FROM entasis.market_data WHERE symbol = 'ETH'")
    # on engine timescaledb the candles count them until they are refreshed, which this does first
    rebuild(hundred, *WEEK)
    assert missing(hundred) == {}
    oracle.assert_candles_are_right(hundred)


@pytest.mark.candle_tables
def test_a_subscriber_without_trades_keeps_its_candles(trading: Connection) -> None:
    """A publication of candles alone arrives like this."""
    day = DAY
    for level, step in (("1m", "minute"), ("1h", "hour"), ("1d", "day")):
        past_triggers(
            trading,
            f"INSERT INTO entasis.ohlcv_{level} SELECT 'BTC', 'one', t, 1, 1, 1, 1, 5, 5, 3,"
            f" t, 1, t, 3 FROM generate_series('{day}'::timestamptz, '{day}'::timestamptz"
            f" + interval '23 hours 59 minutes', interval '1 {step}') AS t",
        )
    found = missing(trading)
    # an hour that counts less than its minutes differs from them
    assert found == {"ohlcv_1m": 3 * 1440, "ohlcv_1h": 3 * 24, "ohlcv_1d": 3}
    before = oracle.stored_candles(trading)
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        rebuild(trading, "-infinity", "infinity")
    assert oracle.stored_candles(trading) == before


@pytest.mark.candle_tables
def test_trades_that_go_after_the_check_stop_the_rebuild_of_their_day(hundred: Connection) -> None:
    """The range is checked once, and each day once more under the locks of its candles."""
    past_triggers(hundred, "DELETE FROM entasis.market_data WHERE id = 40")
    candles = oracle.stored_candles(hundred)
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="BTC on one count more"):
        hundred.execute("SELECT entasis_internal.rebuild_market_day('BTC', 'one', %s)", [DAY])
    assert oracle.stored_candles(hundred) == candles
    hundred.execute("SELECT entasis_internal.rebuild_market_day('ETH', 'one', %s)", [DAY])
    hundred.execute("SELECT entasis_internal.rebuild_market_day('BTC', 'one', %s, true)", [DAY])
    oracle.assert_candles_are_right(hundred)


@pytest.mark.candle_tables
def test_partitions_of_candles_dropped_by_hand_are_made_again(hundred: Connection) -> None:
    hundred.execute(
        "DROP TABLE entasis_internal.ohlcv_1m_y2025m02, entasis_internal.ohlcv_1d_y2025m02"
    )
    assert set(missing(hundred).values()) == {0}
    assert health(hundred, "ohlcv_1d")["gone_without_archive"]
    rebuild(hundred, *MONTH)
    oracle.assert_candles_are_right(hundred)
    assert not health(hundred, "ohlcv_1d")["gone_without_archive"]
    assert oracle.stored_candles(hundred)["1d"]["BTC", "one", DAY].volume == Decimal(100)
