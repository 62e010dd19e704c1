"""check_candles finds every wrong candle, and rebuild_candles mends it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import errors, sql

from tests import oracle
from tests.contract.candles.support import ZONES, make_months, trade
from tests.db import Connection, later
from tests.engines import Prepare
from tests.make import MICROSECOND, insert_trades

pytestmark = pytest.mark.newest_server

# check_candles and rebuild_candles: the tables of engine postgresql, damaged on purpose

DAY = datetime(2025, 2, 3, tzinfo=UTC)

HOUR = DAY + timedelta(hours=5)

MINUTE = HOUR + timedelta(minutes=35)

START = {"1m": MINUTE, "1h": HOUR, "1d": DAY}


@pytest.fixture
def prepare(request: pytest.FixtureRequest, prepare: Prepare | None) -> Prepare | None:
    """What ``damaged`` has, for the tests that ask for it."""
    return trade_in_several_months if "damaged" in request.fixturenames else prepare


@pytest.fixture
def damaged(connection: Connection) -> Connection:
    """A database with trades in several months, whose candle tables the test may damage."""
    return connection


def trade_in_several_months(connection: Connection) -> None:
    make_months(connection)
    times = [
        MINUTE,
        MINUTE + timedelta(seconds=30),
        MINUTE + timedelta(minutes=1),
        HOUR - MICROSECOND,
        DAY - MICROSECOND,
        DAY + timedelta(days=1),
        datetime(2025, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2025, 3, 1, tzinfo=UTC),
    ]
    for number, time in enumerate(times):
        insert_trades(
            connection,
            trade(time, number, str(10 + number), "2"),
            trade(time, number, "3")._replace(symbol="ETH", exchange="two"),
        )
    oracle.assert_candles_are_right(connection)


def problems(connection: Connection, *time_range: Any) -> set[tuple[str, str, datetime, str]]:
    marks = ", ".join(["%s::timestamptz"] * len(time_range))
    return {
        (relation, symbol, start.astimezone(UTC), problem)
        for relation, symbol, start, problem in connection.execute(
            f"SELECT relation, symbol, bucket, problem FROM entasis.check_candles({marks})",
            time_range,
        )
    }


def rebuild(connection: Connection, from_time: Any, to_time: Any, *, forced: bool = False) -> None:
    connection.execute("CALL entasis.rebuild_candles(%s, %s, %s)", [from_time, to_time, forced])


def versions(connection: Connection) -> set[tuple[Any, ...]]:
    """Which version of which candle outside DAY is stored: one that is written anew has another."""
    return {
        row
        for level in oracle.STORED
        for row in connection.execute(
            f"SELECT tableoid, ctid::text, xmin::text FROM entasis.ohlcv_{level}"
            " WHERE bucket < %s OR bucket >= %s",
            [DAY, DAY + timedelta(days=1)],
        )
    }


@pytest.mark.candle_tables
@pytest.mark.parametrize(
    "level",
    [
        pytest.param(level, marks=[pytest.mark.long] if level == "1h" else [])
        for level in oracle.STORED
    ],
)
def test_every_damaged_candle_is_found_and_mended(damaged: Connection, level: str) -> None:
    table, start = f"entasis.ohlcv_{level}", START[level]
    key = ("BTC", "one", start)
    # a bucket of the same day that has no trade; of a day, none is left
    free = start - {"1m": timedelta(minutes=3), "1h": timedelta(hours=2)}.get(level, timedelta(0))
    damages = [
        ("missing", f"DELETE FROM {table} WHERE (symbol, exchange, bucket) = (%s, %s, %s)", key),
        *(
            (
                # one that counts more than there are is the last that is known of the others
                "missing trades" if changed == "trades + 1" else "different",
                f"UPDATE {table} SET {column} = {changed}"
                " WHERE (symbol, exchange, bucket) = (%s, %s, %s)",
                key,
            )
            for column in oracle.COLUMNS[3:]
            for changed in (
                [later(column, "1 microsecond")]
                if column.endswith("_at")
                else [f"{column} + 1", f"{column} * 2 - 1"]
            )
            # twice the trades less one is one where there is one, and so for ids
            if not (
                changed.endswith("* 2 - 1")
                and column in ("trades", "first_trade_id", "last_trade_id")
            )
        ),
        (
            "missing trades",
            f"INSERT INTO {table} SELECT 'XRP', exchange, %s, {', '.join(oracle.COLUMNS[3:])}"
            f" FROM {table} WHERE (symbol, exchange, bucket) = (%s, %s, %s)",
            (free, *key),
        ),
    ]
    right, elsewhere = oracle.stored_candles(damaged), versions(damaged)
    for problem, statement, parameters in damages:
        assert damaged.execute(statement, parameters).rowcount == 1
        symbol, bucket = ("XRP", free) if "XRP" in statement else ("BTC", start)
        expected = (f"ohlcv_{level}", symbol, bucket, problem)
        assert expected in problems(damaged), statement
        assert problems(damaged) == problems(damaged, DAY, DAY + timedelta(days=1))
        # what lies below the damage is right, and so is the other market
        assert all(
            s == symbol
            and oracle.STORED.index(r.removeprefix("ohlcv_")) >= oracle.STORED.index(level)
            for r, s, *_ in problems(damaged)
        )
        if problem == "missing trades":
            candles = oracle.stored_candles(damaged)
            with pytest.raises(errors.ObjectNotInPrerequisiteState):
                rebuild(damaged, DAY, DAY + timedelta(days=1))
            assert oracle.stored_candles(damaged) == candles
        rebuild(damaged, DAY, DAY + timedelta(days=1), forced=problem == "missing trades")
        assert problems(damaged) == set(), statement
        assert oracle.stored_candles(damaged) == right, statement
        assert versions(damaged) == elsewhere
    oracle.assert_candles_are_right(damaged)


LOSING = ("delete-partition", "truncate-partition", "replica")


@pytest.mark.candle_tables
@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM entasis_internal.market_data_y2025m02 WHERE symbol = 'BTC'"],
        ["UPDATE entasis_internal.market_data_y2025m02 SET price = price + 1"],
        [
            "INSERT INTO entasis_internal.market_data_y2025m02"
            " SELECT id + 100, symbol, exchange, timestamp + interval '1 hour', price, volume"
            " FROM entasis_internal.market_data_y2025m02 WHERE timestamp < '2025-02-20'"
        ],
        ["TRUNCATE entasis_internal.market_data_y2025m02"],
        ["TRUNCATE entasis.ohlcv_1m, entasis.ohlcv_1h, entasis.ohlcv_1d"],
        ["TRUNCATE entasis.ohlcv_1h"],
        [
            "BEGIN",
            "SET LOCAL citus.propagate_set_commands = 'local'",
            "SET LOCAL session_replication_role = replica",
            "DELETE FROM entasis.market_data WHERE id % 2 = 0",
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, price, volume)"
            " VALUES ('NEW', 'one', '2025-02-03 05:35:00+00', 1, 1),"
            " ('NEW', 'one', '2025-03-31 23:59:59+00', 1, 1)",
            "COMMIT",
        ],
        [
            "CREATE TABLE public.filled (LIKE entasis.market_data INCLUDING ALL)",
            "INSERT INTO public.filled (symbol, exchange, timestamp, price, volume)"
            " VALUES ('NEW', 'one', '2025-07-03 05:35:00+00', 1, 1)",
            "SELECT entasis.ensure_partitions('ohlcv_1m', '2025-07-01', '2025-08-01'),"
            " entasis.ensure_partitions('ohlcv_1h', '2025-07-01', '2025-08-01'),"
            " entasis.ensure_partitions('ohlcv_1d', '2025-07-01', '2025-08-01')",
            "ALTER TABLE entasis.market_data ATTACH PARTITION public.filled"
            " FOR VALUES FROM ('2025-07-01 00:00:00+00') TO ('2025-08-01 00:00:00+00')",
        ],
    ],
    ids=[
        "delete-partition",
        "update-partition",
        "insert-partition",
        "truncate-partition",
        "truncate-candles",
        "truncate-hours",
        "replica",
        "attach",
    ],
)
def test_what_goes_past_the_triggers_is_found_and_mended(
    damaged: Connection, statements: list[str], request: pytest.FixtureRequest
) -> None:
    for statement in statements:
        damaged.execute(statement.encode())
    assert oracle.differences(damaged, oracle.stored_trades(damaged))
    loses = request.node.callspec.id.endswith(LOSING)
    assert ("missing trades" in {problem for *_, problem in problems(damaged)}) == loses
    everything = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 8, 1, tzinfo=UTC)
    if loses:
        with pytest.raises(errors.ObjectNotInPrerequisiteState):
            rebuild(damaged, *everything)
    rebuild(damaged, *everything, forced=loses)
    oracle.assert_candles_are_right(damaged)


@pytest.mark.candle_tables
def test_check_and_rebuild_without_bounds_look_at_all_there_is(damaged: Connection) -> None:
    damaged.execute("DELETE FROM entasis.ohlcv_1m WHERE bucket >= '2025-03-01'")
    damaged.execute("UPDATE entasis.ohlcv_1d SET high = high + 1 WHERE bucket < '2025-02-01'")
    assert {b.month for _, _, b, _ in problems(damaged)} == {1, 3}
    rebuild(damaged, "-infinity", "infinity")
    oracle.assert_candles_are_right(damaged)
    with pytest.raises(errors.NullValueNotAllowed):
        rebuild(damaged, None, DAY)


moments = st.one_of(
    st.builds(
        lambda border, offset: border + timedelta(microseconds=offset),
        st.sampled_from([DAY, DAY + timedelta(days=1), DAY - timedelta(days=1), MINUTE]),
        st.sampled_from([0, -1, 1, 12 * 3_600_000_000, -5 * 3_600_000_000]),
    ),
    st.datetimes(datetime(2025, 1, 1), datetime(2025, 3, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)


@pytest.mark.candle_tables
@given(from_time=moments, to_time=moments, zone=st.sampled_from(ZONES))
@example(from_time=DAY, to_time=DAY + timedelta(days=1), zone="America/New_York")
@example(from_time=DAY + timedelta(days=1), to_time=DAY + timedelta(days=2), zone="UTC")
@example(from_time=DAY + timedelta(days=1), to_time=DAY, zone="UTC")
@example(from_time=DAY, to_time=DAY, zone="UTC")
@example(from_time=HOUR + timedelta(hours=1), to_time=HOUR, zone="UTC")
def test_a_range_means_the_utc_days_that_it_touches(
    damaged: Connection, from_time: datetime, to_time: datetime, zone: str
) -> None:
    touches = from_time < DAY + timedelta(days=1) and to_time > DAY
    damaged.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    damaged.execute("UPDATE entasis.ohlcv_1m SET high = 1000 WHERE bucket = %s", [MINUTE])
    whole = problems(damaged)
    assert len(whole) == 4  # a minute and its hour, in two markets
    if from_time < to_time:
        assert problems(damaged, from_time, to_time) == (whole if touches else set())
        rebuild(damaged, from_time, to_time)
        assert problems(damaged) == (set() if touches else whole)
    else:
        # nothing was asked about, and "all are right" would be wrong
        for ask in (problems, rebuild, oracle.refresh):
            with pytest.raises(errors.InvalidParameterValue, match="must lie before"):
                ask(damaged, from_time, to_time)
        assert problems(damaged) == whole
    rebuild(damaged, DAY, DAY + MICROSECOND)
    oracle.assert_candles_are_right(damaged)


@pytest.mark.candle_tables
def test_days_on_which_a_zone_changes_its_clock_are_days_like_others(
    damaged: Connection,
) -> None:
    for zone, border in (
        ("America/New_York", datetime(2025, 3, 9, 7, tzinfo=UTC)),
        ("America/New_York", datetime(2024, 11, 3, 6, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2025, 3, 30, 1, tzinfo=UTC)),
    ):
        damaged.execute("SELECT set_config('TimeZone', %s, false)", [zone])
        day = oracle.bucket("1d", border)
        times = [day, border - MICROSECOND, border, day + timedelta(days=1) - MICROSECOND]
        insert_trades(damaged, *(trade(t, 50 + n) for n, t in enumerate(times)))
        oracle.assert_candles_are_right(damaged)
        damaged.execute("DELETE FROM entasis.ohlcv_1d WHERE bucket = %s", [day])
        damaged.execute("DELETE FROM entasis.ohlcv_1h WHERE bucket = %s", [border])
        assert problems(damaged)
        rebuild(damaged, day, day + timedelta(days=1))
        oracle.assert_candles_are_right(damaged)
        damaged.execute("UPDATE entasis.market_data SET volume = 7 WHERE id >= 50")
        oracle.assert_candles_are_right(damaged)


@pytest.mark.candle_tables
def test_check_says_what_is_stored_and_what_should_be(damaged: Connection) -> None:
    damaged.execute(
        "UPDATE entasis.ohlcv_1d SET close = 1.5 WHERE symbol = 'BTC' AND bucket = %s", [DAY]
    )
    (found,) = damaged.execute(
        "SELECT relation, symbol, exchange, bucket, problem,"
        " (stored ->> 'close')::numeric, (expected ->> 'close')::numeric"
        " FROM entasis.check_candles()"
    ).fetchall()
    assert found[:5] == ("ohlcv_1d", "BTC", "one", DAY, "different")
    assert found[5:] == (Decimal("1.5"), Decimal(12))


def test_placeholders_never_stay(trading: Connection) -> None:
    time = datetime(2025, 2, 3, 5, 35, tzinfo=UTC)
    insert_trades(trading, trade(time))
    trading.execute(
        f"UPDATE entasis.market_data SET timestamp = {later('timestamp', '1 minute')}".encode()
    )
    trading.execute("DELETE FROM entasis.market_data")
    for level in oracle.STORED:
        (count,) = trading.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("entasis", f"ohlcv_{level}"))
        ).fetchone() or (None,)
        assert count == 0


def test_a_market_without_trades_has_nothing_to_rebuild(connection: Connection) -> None:
    connection.execute("SELECT entasis.set_market('LISTED', 'x', '{\"kind\": \"spot\"}')")
    connection.execute("SET statement_timeout = '30s'")  # rather fail than fill the disk
    connection.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    assert not any(oracle.stored_candles(connection).values())
