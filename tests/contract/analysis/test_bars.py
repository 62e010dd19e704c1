"""Candles of any width, of sessions, and bars of trades, compared with plain Python and pandas."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import analysis, queries
from entasis_db.analysis import Bar, WideCandle
from entasis_db.errors import QueryError
from entasis_db.model import Trade
from tests import oracle
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    example,
    in_order,
    insert_trades,
    scenes,
    trade,
)
from tests.db import Connection, ensure
from tests.engines import Server, pause_jobs
from tests.make import MICROSECOND, D, months_ago

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

# a change of the clock in each: (zone, around)
CHANGES = [
    ("America/New_York", datetime(2024, 3, 10, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 11, 3, 6, tzinfo=UTC)),
    # half an hour
    ("Australia/Lord_Howe", datetime(2024, 4, 6, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 10, 5, 15, tzinfo=UTC)),
    # at midnight: the day begins at one, or has a second hour before it
    ("Africa/Cairo", datetime(2024, 4, 25, 22, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2024, 10, 31, 21, tzinfo=UTC)),
    # midnight comes twice
    ("America/Havana", datetime(2024, 11, 3, 5, tzinfo=UTC)),
    # 45 minutes beside the hour, without and with changes
    ("Asia/Kathmandu", datetime(2024, 3, 10, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2024, 4, 6, 14, tzinfo=UTC)),
]
SPAN = 3 * DAY
MONDAY = datetime(2000, 1, 3)  # noqa: DTZ001 - on whichever clock
YEAR = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def changing(server: Server) -> Iterator[tuple[Connection, list[Trade]]]:
    """Trades every eleven minutes around each change of a clock."""
    with server.database() as database, database.connect() as connection:
        if database.can("hypertables"):
            pause_jobs(connection)
        ensure(connection, "market_data", *YEAR)
        times = {
            around - SPAN + n * 11 * MINUTE
            for _, around in CHANGES
            for n in range(2 * SPAN // (11 * MINUTE))
        }
        trades = [trade(at, n, D(100 + n % 17), D(n % 5 + 1)) for n, at in enumerate(sorted(times))]
        insert_trades(connection, trades)
        # a refresh in between would show some of them only
        oracle.refresh(connection)
        yield connection, trades


def merged(trades: Sequence[Trade], start: datetime, end: datetime) -> tuple[Any, ...] | None:
    """Merge trades of [start, end) into the columns of a candle from bucket on."""
    group = [t for t in in_order(trades) if start <= t.timestamp < end and t.excluded is None]
    if not group:
        return None
    first, last = group[0], group[-1]
    prices = [t.price for t in group]
    with localcontext(prec=200):
        volume = sum((t.volume for t in group), D(0))
        quote_volume = sum((t.price * t.volume for t in group), D(0))
    told = (first.price, max(prices), min(prices), last.price, volume, quote_volume, len(group))
    return (start, end, *told, first.timestamp, first.id, last.timestamp, last.id)


def buckets(
    clock: ZoneInfo, first: datetime, step: timedelta, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Walk through every minute of the range, and see where a bucket of local days begins."""
    found: list[datetime] = []
    latest: datetime | None = None
    minute = start - 3 * step
    while minute < end + 3 * step:
        local = minute.astimezone(clock).replace(tzinfo=None)
        key = first + (local - first) // step * step
        if latest is None or key > latest:
            latest = key
            found.append(minute)
        minute += MINUTE
    return [(a, b) for a, b in pairwise(found[1:]) if start <= a < end]


def told(rows: Sequence[WideCandle]) -> list[tuple[Any, ...]]:
    return [row[2:15] for row in rows]


@pytest.mark.parametrize(("zone", "around"), CHANGES)
@pytest.mark.parametrize(
    ("width", "step", "origin"),
    [
        ("1d", DAY, None),
        ("2d", 2 * DAY, MONDAY.replace(hour=17)),
        # in the hour that is skipped, or comes twice
        ("1d", DAY, MONDAY.replace(hour=1, minute=30)),
        ("1d", DAY, MONDAY.replace(hour=2, minute=10)),
    ],
)
def test_days_follow_the_clock_of_the_zone(
    changing: tuple[Connection, list[Trade]],
    zone: str,
    around: datetime,
    width: str,
    step: timedelta,
    origin: datetime | None,
) -> None:
    connection, trades = changing
    start, end = around - 2 * DAY, around + 2 * DAY
    near = [t for t in trades if abs(t.timestamp - around) < 8 * DAY]
    first = origin or MONDAY
    ranges = buckets(ZoneInfo(zone), first, step, start, end)
    assert ranges
    expected = [found for a, b in ranges if (found := merged(near, a, b))]
    found = analysis.candles_of_width(*MARKET, width, start, end, origin, zone)
    assert told(found.fetch(connection)) == expected


@pytest.mark.parametrize("width", ["7m", "90m", "4h", "36h", "1d", "1w", "1mo"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_they_are_those_of_pandas(
    changing: tuple[Connection, list[Trade]], width: str, zone: str
) -> None:
    connection, trades = changing
    start, end = YEAR
    found = analysis.candles_of_width(*MARKET, width, start, end, None, zone).fetch(connection)
    rule = {"m": "min", "h": "h", "d": "D", "w": "W-MON", "o": "MS"}[width[-1]]
    number = "".join(filter(str.isdigit, width))
    origin = pd.Timestamp("2000-01-03", tz=zone)
    index = pd.DatetimeIndex([t.timestamp for t in trades]).tz_convert(zone)
    series = pd.Series([float(t.price) for t in trades], index=index)
    options: dict[str, Any] = {"label": "left", "closed": "left"}
    if rule in ("min", "h"):
        options["origin"] = origin
    columns = ["first", "max", "min", "last", "count"]
    grouped = series.resample(number + rule, **options).agg(columns)
    grouped = grouped[grouped["count"] > 0]
    grouped = grouped[(grouped.index >= start) & (grouped.index < end)]
    rows = [
        (at.to_pydatetime().astimezone(UTC), *map(float, row))
        for at, row in zip(grouped.index, grouped.to_numpy(), strict=True)
    ]
    assert rows
    assert [
        (c.bucket, float(c.open), float(c.high), float(c.low), float(c.close), float(c.trades))
        for c in found
    ] == rows


@given(scene=scenes, excluded=st.sets(st.integers(0, 19)))
def test_they_are_the_stored_ones_where_widths_are_the_same(
    months_connection: Connection, scene: tuple[datetime, list[Trade]], excluded: set[int]
) -> None:
    anchor, trades = scene
    trades = [t._replace(excluded="block") if n in excluded else t for n, t in enumerate(trades)]
    with example(months_connection):
        insert_trades(months_connection, trades)
        start, end = anchor - 40 * DAY, anchor + 40 * DAY
        for interval in queries.INTERVALS:
            stored = queries.candles(*MARKET, interval, start, end).fetch(months_connection)
            found = analysis.candles_of_width(*MARKET, interval, start, end)
            assert [c[:3] + c[4:16] for c in found.fetch(months_connection)] == stored


def test_ranges_are_cut_without_a_loss(changing: tuple[Connection, list[Trade]]) -> None:
    connection, _ = changing
    zone, around = CHANGES[1]
    for width in ("7m", "1d"):
        whole = analysis.candles_of_width(
            *MARKET, width, around - 2 * DAY, around + 2 * DAY, None, zone
        ).fetch(connection)
        cuts = [around - 2 * DAY, around - HOUR, around, whole[2].bucket, around + 2 * DAY]
        parts = [
            row
            for a, b in pairwise(sorted(cuts))
            for row in analysis.candles_of_width(*MARKET, width, a, b, None, zone).fetch(connection)
        ]
        assert parts == whole


@pytest.mark.parametrize("width", ["7 minutes", "1 day", "1 month"])
def test_infinite_ranges_are_all(changing: tuple[Connection, list[Trade]], width: str) -> None:
    connection, trades = changing
    text = "SELECT sum(trades) FROM entasis.candles_of_width(%s, %s, %s, '-infinity', 'infinity')"
    assert connection.execute(text, [*MARKET, width]).fetchone() == (len(trades),)


def test_sessions_of_all_times_have_all_trades(changing: tuple[Connection, list[Trade]]) -> None:
    connection, trades = changing
    found = connection.execute(
        "SELECT sum(trades) FROM entasis.session_candles(%s, %s, '9:00', '9:00',"
        " '-infinity', 'infinity', 'America/Havana', '{1,2,3,4,5,6,7}')",
        MARKET,
    ).fetchone()
    assert found == (len(trades),)


@pytest.mark.parametrize(
    ("width", "origin"),
    [
        ("90 seconds", None),
        ("30 seconds", None),
        ("0", None),
        ("-5 minutes", None),
        ("1 day 2 hours", None),
        ("1 month 1 day", None),
        ("1 hour 0.5 seconds", None),
        ("500 years", None),
        ("1 month", "2024-01-31"),
        ("1 hour", "2024-01-01 00:00:30"),
        ("1 hour", "infinity"),
    ],
)
def test_a_width_that_is_none_is_refused(
    shared_connection: Connection, width: str, origin: str | None
) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="candles"):
        shared_connection.execute(
            "SELECT * FROM entasis.candles_of_width('NONE', 'x', %s, %s, %s, %s)",
            [width, MARCH, MARCH + DAY, origin],
        )


def sessions(
    clock: ZoneInfo, opens: time, closes: time, days: Sequence[int], start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Walk through every minute, and see when the clock reaches an opening and a closing."""
    found = []
    day = start.astimezone(clock).date() - 2 * DAY
    while day <= end.astimezone(clock).date() + DAY:
        at = first_minute(clock, day, opens)
        until = first_minute(clock, day if closes > opens else day + DAY, closes)
        if day.isoweekday() in days and start <= at < end:
            found.append((at, until))
        day += DAY
    return found


def first_minute(clock: ZoneInfo, day: date, at: time) -> datetime:
    wanted = datetime.combine(day, at)
    minute = wanted.replace(tzinfo=UTC) - 15 * HOUR
    while minute.astimezone(clock).replace(tzinfo=None) < wanted:
        minute += MINUTE
    return minute


@pytest.mark.parametrize(("zone", "around"), CHANGES)
@pytest.mark.parametrize(
    ("opens", "closes", "days"),
    [
        (time(9, 30), time(16), (1, 2, 3, 4, 5)),
        (time(16), time(9, 30), (7, 1, 2, 3, 4)),
        (time(0), time(0), (1, 2, 3, 4, 5, 6, 7)),
        (time(1, 30), time(2, 15), (6, 7)),
    ],
)
def test_sessions_follow_the_clock_of_the_zone(
    changing: tuple[Connection, list[Trade]],
    zone: str,
    around: datetime,
    opens: time,
    closes: time,
    days: tuple[int, ...],
) -> None:
    connection, trades = changing
    start, end = around - 2 * DAY, around + 2 * DAY
    near = [t for t in trades if abs(t.timestamp - around) < 8 * DAY]
    ranges = sessions(ZoneInfo(zone), opens, closes, days, start, end)
    expected = [(a, *found) for a, b in ranges if (found := merged(near, a, b))]
    found = analysis.session_candles(*MARKET, opens, closes, start, end, zone, days)
    assert [(row[0], *row[3:16]) for row in found.fetch(connection)] == expected
    parts = [
        (a, *found)
        for a, b in ranges
        for n in range((b - a) // (40 * MINUTE) + 1)
        if (found := merged(near, a + n * 40 * MINUTE, min(b, a + (n + 1) * 40 * MINUTE)))
    ]
    within = analysis.session_candles(*MARKET, opens, closes, start, end, zone, days, "40m")
    assert [(row[0], *row[3:16]) for row in within.fetch(connection)] == parts


# --- bars ----------------------------------------------------------------------------------------


def expected_bars(trades: Sequence[Trade], size: Decimal, measure: str) -> list[Bar]:
    """Go through the trades, and begin anew when the size is reached."""
    bars: list[Bar] = []
    group: list[Trade] = []
    filled = D(0)

    def close(is_complete: bool) -> None:
        found = merged(group, group[0].timestamp, group[-1].timestamp + MICROSECOND)
        assert found is not None
        opened, last = found[9:11], found[11:13]
        bars.append(Bar(len(bars) + 1, *MARKET, *opened, *last, *found[2:9], is_complete))

    with localcontext(prec=200):
        for t in in_order(trades):
            if t.excluded is not None:
                continue
            group.append(t)
            filled += {"tick": D(1), "volume": t.volume, "quote": abs(t.price * t.volume)}[measure]
            if filled >= size:
                close(True)
                group, filled = [], D(0)
        if group:
            close(False)
    return bars


@given(
    scene=scenes,
    excluded=st.sets(st.integers(0, 19)),
    size=st.sampled_from([D("0.5"), D(3), D(7000), D(70000), D(10) ** 9]),
)
def test_bars_end_where_their_size_is_reached(
    months_connection: Connection,
    scene: tuple[datetime, list[Trade]],
    excluded: set[int],
    size: Decimal,
) -> None:
    anchor, trades = scene
    trades = [t._replace(excluded="block") if n in excluded else t for n, t in enumerate(trades)]
    with example(months_connection):
        insert_trades(months_connection, trades)
        start, end = anchor - DAY, anchor + DAY
        near = [t for t in trades if start <= t.timestamp < end]
        for name, measure in (("volume_bars", "volume"), ("quote_volume_bars", "quote")):
            found = getattr(analysis, name)(*MARKET, size, start, end).fetch(months_connection)
            assert found == expected_bars(near, size, measure)
        ticks = analysis.tick_bars(*MARKET, int(size) or 1, start, end)
        assert ticks.fetch(months_connection) == expected_bars(near, D(int(size) or 1), "tick")


def test_bars_begin_at_the_floor(connection: Connection) -> None:
    old, new = months_ago(4), months_ago(3)
    ensure(connection, "market_data", old, new + DAY)
    insert_trades(connection, [trade(old + n * HOUR, n) for n in range(3)])
    insert_trades(connection, [trade(new + n * HOUR, 10 + n) for n in range(3)])
    statement = analysis.tick_bars(*MARKET, 2, old, new + DAY)
    assert [bar.first_trade_id for bar in statement.fetch(connection)] == [0, 2, 11]
    connection.execute("UPDATE entasis.floors SET floor = %s WHERE relation = 'market_data'", [new])
    assert [bar.first_trade_id for bar in statement.fetch(connection)] == [10, 12]
    volumes = analysis.volume_bars(*MARKET, 2, old, new + DAY)
    assert [bar.first_trade_id for bar in volumes.fetch(connection)] == [10, 12]
    connection.execute(
        "INSERT INTO entasis.reopened (relation, from_time, to_time, keep_until, opened_at)"
        " VALUES ('market_data', %s, %s, now() + interval '1 day', now())",
        [old, new],
    )
    assert [bar.first_trade_id for bar in statement.fetch(connection)] == [0, 2, 11]


def test_below_the_floor_of_minutes_there_is_no_candle(connection: Connection) -> None:
    old = months_ago(4)
    ensure(connection, "market_data", old, old + DAY)
    insert_trades(connection, [trade(old + n * HOUR, n) for n in range(6)])
    oracle.refresh(connection)
    statement = analysis.candles_of_width(*MARKET, "2h", old, old + DAY)
    assert len(statement.fetch(connection)) == 3
    connection.execute("UPDATE entasis.floors SET floor = %s", [old + 3 * HOUR])
    assert [row.bucket for row in statement.fetch(connection)] == [old + 4 * HOUR]


@pytest.mark.parametrize("size", ["0", "-1", "NaN", "Infinity"])
def test_a_size_that_is_none_is_refused(shared_connection: Connection, size: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"a size of .* is none"):
        shared_connection.execute(
            "SELECT * FROM entasis.volume_bars('NONE', 'x', %s, %s, %s)", [size, MARCH, MARCH + DAY]
        )
    with pytest.raises(ValueError, match="size is"):
        analysis.volume_bars(*MARKET, D(size), MARCH, MARCH + DAY)


def test_mistaken_arguments_are_refused() -> None:
    bounds = MARCH, MARCH + DAY
    with pytest.raises(QueryError, match="width is '90s': give a whole number"):
        analysis.candles_of_width(*MARKET, "90s", *bounds)
    with pytest.raises(QueryError, match="there is no time zone 'Nowhere'"):
        analysis.candles_of_width(*MARKET, "1d", *bounds, zone="Nowhere")
    with pytest.raises(ValueError, match=r"origin is .* without a zone"):
        analysis.candles_of_width(*MARKET, "1d", *bounds, origin=MARCH)
    with pytest.raises(ValueError, match="opens is 09:30:01: give a whole minute"):
        analysis.session_candles(*MARKET, time(9, 30, 1), time(16), *bounds)
    with pytest.raises(ValueError, match="weekdays has 0: give numbers from 1"):
        analysis.session_candles(*MARKET, time(9, 30), time(16), *bounds, weekdays=[0])
    with pytest.raises(QueryError, match="there are no candles of '1d' in a session"):
        analysis.session_candles(*MARKET, time(9, 30), time(16), *bounds, width="1d")
    with pytest.raises(ValueError, match=r"size is 0\.5: give a Decimal"):
        analysis.volume_bars(*MARKET, 0.5, *bounds)  # type: ignore[arg-type]
