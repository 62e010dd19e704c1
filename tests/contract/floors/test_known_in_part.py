"""A derived bucket of which a part is gone has no row: in views, functions, helpers and caches."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from entasis_db import queries
from tests import oracle
from tests.contract.retention.support import CANDLES, floors, keep, keep_from, maintain
from tests.db import Connection, ensure, one
from tests.make import insert_trades, month, trade

pytestmark = pytest.mark.newest_server

MARKET = ("BTC", "one")


def _times(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    return [start + n * step for n in range((end - start) // step)]


def _trades(connection: Connection, times: list[datetime]) -> None:
    insert_trades(
        connection,
        *(
            trade(n, exchange="one", timestamp=time, price=Decimal(100 + n), volume=Decimal(1))
            for n, time in enumerate(sorted(times))
        ),
    )


@pytest.fixture
def weeks(admin: Connection) -> Connection:
    """Four trades a day from Monday, 30 December 2019, over nine weeks."""
    keep(admin, market_data=None, option_data=None, **dict.fromkeys(CANDLES))
    ensure(admin, "market_data", month(2019, 12), month(2020, 4))
    first = datetime(2019, 12, 30, tzinfo=UTC)
    _trades(admin, _times(first, month(2020, 3), timedelta(hours=6)))
    oracle.refresh(admin)
    return admin


def _read(connection: Connection, level: str, **how: Any) -> oracle.Candles:
    statement = queries.candles(*MARKET, level, month(2019, 12), month(2020, 4), **how)  # type: ignore[arg-type]
    return {
        (*MARKET, c.bucket): oracle.Candle(*(getattr(c, name) for name in oracle.COLUMNS[3:]))
        for c in statement.fetch(connection)
    }


def _whole(candles: oracle.Candles, floor: datetime) -> oracle.Candles:
    return {key: candle for key, candle in candles.items() if key[2] >= floor}


def test_a_week_that_lost_days_has_no_row(weeks: Connection) -> None:
    everything = oracle.stored_candles(weeks)
    keep_from(weeks, month(2020, 2), "market_data", *CANDLES)
    maintain(weeks)
    maintain(weeks)  # trades first, and what depends on them in the next run
    floor = floors(weeks)["ohlcv_1d"]
    assert floor > month(2020, 1)
    left = oracle.stored_candles(weeks)
    assert min(bucket for *_, bucket in left["1d"]) == floor
    for level in ("1w", "1mo", "4h"):
        source = floors(weeks)[oracle.SOURCE[level]]
        assert left[level] == _whole(everything[level], source) == _read(weeks, level)
    # days of a week that lost others are still there, and four trades each
    assert {candle.trades for candle in left["1d"].values()} == {4}
    weeks_left = [candle.trades for _, candle in sorted(left["1w"].items())]
    # the last one ends with February
    assert weeks_left == [28] * (len(weeks_left) - 1) + [24]
    assert weeks.execute("SELECT * FROM entasis.check_candles()").fetchall() == []


@pytest.mark.native_speed
@pytest.mark.parametrize(
    "floor",
    [
        datetime(2020, 1, 20, tzinfo=UTC),  # a Monday
        datetime(2020, 1, 22, 13, 1, tzinfo=UTC),
        datetime(2020, 2, 1, tzinfo=UTC),
    ],
    ids=["monday", "odd", "month"],
)
def test_a_bucket_that_begins_below_the_floor_of_its_source_has_no_row(
    connection: Connection, floor: datetime
) -> None:
    keep(connection, market_data=None, option_data=None, **dict.fromkeys(CANDLES))
    ensure(connection, "market_data", month(2020, 1), month(2020, 3))
    reaches = {
        timedelta(minutes=9): timedelta(minutes=1, seconds=30),
        timedelta(hours=9): timedelta(hours=1, minutes=1),
        timedelta(days=9): timedelta(days=1, minutes=2),
    }
    _trades(
        connection,
        [t for reach, step in reaches.items() for t in _times(floor - reach, floor + reach, step)],
    )
    oracle.refresh(connection)
    expected = oracle.stored_candles(connection)
    assert not oracle.differences(connection, oracle.stored_trades(connection))
    # stored candles were whole when they were stored, and stay; and so does what is derived from
    # others than those that go
    for source in ("market_data", "ohlcv_1d", "ohlcv_1m", "ohlcv_1h"):
        connection.execute("SELECT entasis_internal.raise_floor(%s, %s)", [source, floor])
        for level in (name for name in oracle.SOURCE if oracle.SOURCE[name] == source):
            whole = _whole(expected[level], floor)
            assert len(whole) < len(expected[level])
            expected[level] = whole
        assert oracle.stored_candles(connection) == expected
        for level in oracle.LEVELS:
            assert _read(connection, level) == expected[level]


@pytest.mark.parametrize("level", ["1d", "1w"])
def test_gaps_are_not_filled_below_the_floor_nor_over_it(weeks: Connection, level: str) -> None:
    """A flat candle says that nothing was traded, which nobody knows there."""
    floor = datetime(2020, 1, 29, tzinfo=UTC)  # a Wednesday
    weeks.execute(
        "DELETE FROM entasis.market_data"
        " WHERE timestamp >= '2020-01-14Z' AND timestamp < '2020-02-04Z'"
    )
    oracle.refresh(weeks)
    for relation in CANDLES:
        weeks.execute("SELECT entasis_internal.raise_floor(%s, %s)", [relation, floor])
    filled = _read(weeks, level, fill_gaps=True)
    real = _read(weeks, level)
    # days below the floor are stored; what is computed is not there
    assert {key for key, candle in filled.items() if candle.trades} == set(real)
    flat = sorted(bucket for (*_, bucket), candle in filled.items() if not candle.trades)
    # the first trade above the floor is of 4 February, a Tuesday: no price is known before
    after = {"1d": month(2020, 3), "1w": datetime(2020, 3, 2, tzinfo=UTC)}[level]
    assert flat[0] == after
    assert min(flat) > floor
    # nor is a price from below the floor carried into a range that begins above it
    ranged = queries.candles(
        *MARKET,
        "1d",
        datetime(2020, 2, 1, tzinfo=UTC),
        datetime(2020, 2, 6, tzinfo=UTC),
        fill_gaps=True,
    ).fetch(weeks)
    assert [c.bucket for c in ranged] == [
        datetime(2020, 2, 4, tzinfo=UTC),
        datetime(2020, 2, 5, tzinfo=UTC),
    ]


def test_what_a_restore_brings_back_is_known_once_it_is_attached(connection: Connection) -> None:
    """Of its own relation: restored trades alone make no candle."""
    monday, floor = datetime(2020, 1, 6, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
    week = monday + timedelta(days=7)
    connection.execute("SELECT entasis_internal.raise_floor('ohlcv_1d', %s)", [floor])

    def known() -> Any:
        return one(
            connection,
            "SELECT entasis_internal.is_known_below_floor('1w', 'BTC', 'one', %s)",
            monday,
        )

    for relation in ("ohlcv_1d", "market_data", "ohlcv_1m"):
        connection.execute(
            "INSERT INTO entasis.restores"
            " (table_name, relation, from_time, to_time, row_count, checksum, verified_at)"
            " VALUES (%s, %s, %s, %s, 1, 1, now())",
            [f"{relation}_restored", relation, monday, week],
        )
    assert known() is False
    attach = (
        "UPDATE entasis.restores SET attached_at = now(), held_until = 'infinity'"
        " WHERE relation = %s"
    )
    for relation, is_known in (("market_data", False), ("ohlcv_1m", False), ("ohlcv_1d", True)):
        connection.execute(attach, [relation])
        assert known() is is_known


def test_what_is_open_again_is_known_of_its_markets(connection: Connection) -> None:
    """Weeks begin on Monday, and the floor lies in one."""
    monday, floor = datetime(2020, 1, 6, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
    day, week = timedelta(days=1), timedelta(days=7)
    connection.execute("SELECT entasis_internal.raise_floor('ohlcv_1d', %s)", [floor])

    def is_open(start: datetime, end: datetime, symbol: str | None = None, **how: Any) -> None:
        connection.execute(
            "INSERT INTO entasis.reopened"
            " (relation, symbol, exchange, from_time, to_time, keep_until, opened_at)"
            " VALUES (%s, %s, %s, %s, %s, 'infinity', %s)",
            [
                how.get("relation", "market_data"),
                *(symbol, symbol and "one", start, end, how.get("opened_at", monday)),
            ],
        )

    def known(
        symbol: str, start: datetime, *end: datetime, level: str = "1w", at: str = "one"
    ) -> Any:
        return one(
            connection,
            "SELECT entasis_internal.is_known_below_floor(%s, %s, %s, %s, %s)",
            *(level, symbol, at, start, end[0] if end else None),
        )

    is_open(monday, monday + week, "BTC")
    is_open(monday + week, monday + 2 * week, opened_at=None)
    is_open(monday + week, monday + 2 * week, relation="option_data")
    assert known("BTC", monday)
    assert known("ETH", monday) is False
    assert not known("BTC", monday, at="two")
    assert not known("BTC", monday - day)
    assert not known("BTC", monday + day)
    assert not known("BTC", monday + week)
    assert not known("BTC", monday, monday + 2 * week)
    days = [n for n in range(-1, 9) if known("BTC", monday + n * day, level="1d")]
    assert days == list(range(7))
    # for all markets, and in two pieces for one
    connection.execute("UPDATE entasis.reopened SET opened_at = now() WHERE opened_at IS NULL")
    assert known("ETH", monday + week)
    assert not known("ETH", monday)
    assert known("BTC", monday, monday + 2 * week)
    # above the floor there is nothing to open
    is_open(floor - day, floor, "BTC")
    assert known("BTC", floor - day, floor + day)
    assert not known("BTC", floor - 2 * day, floor + day)
