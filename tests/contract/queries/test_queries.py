"""The named queries answer what plain Python says they should, on any connection of a caller's."""

import asyncio
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, Inexact, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.rows import dict_row

from entasis_db import queries
from entasis_db.errors import QueryError
from entasis_db.queries import (
    INTERVALS,
    Candle,
    Interval,
    OptionQuote,
    OptionType,
    PositionSnapshot,
    Prediction,
    PredictionScore,
    SmilePoint,
    Statement,
    Trade,
)
from tests.conftest import Login
from tests.engines import Database, Server
from tests.plans import numbered

FOLDER = Path(inspect.getfile(queries)).parent
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86400))
MICROSECOND = timedelta(microseconds=1)
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
USER, OTHER = UUID(int=1), UUID(int=2)
# ids that neither rise nor fall with the order in which their rows are stored
NUMBERS = [n * 37 % 101 for n in range(1, 101)]
MARKET = ("BTCUSDT", "binance-spot")

# one for each way in which a function runs a query of its own
EXAMPLES: tuple[Statement[Any], ...] = (
    queries.trades(*MARKET, MARCH, MARCH + DAY),
    queries.candles(*MARKET, "1m", MARCH, MARCH + DAY),
    queries.candles(*MARKET, "1h", MARCH, MARCH + DAY, fill_gaps=True),
    queries.latest_price(*MARKET),
    queries.latest_prices(),
    queries.option_chain("BTC", MARCH + HOUR),
    queries.option_history("BTC", MARCH + 28 * DAY, 60000, "call", MARCH, MARCH + DAY),
    queries.iv_smile("BTC", MARCH + 28 * DAY, MARCH + HOUR),
    queries.predictions("m", MARKET[0], MARCH, MARCH + DAY),
    queries.prediction_scores("m", *MARKET, MARCH, MARCH + DAY),
    queries.portfolio(USER),
    queries.pnl_history(USER, MARCH, MARCH + DAY),
)


# ----------------------------------------------------------------------------------------- fixtures


@pytest.fixture(scope="module")
def months(server: Server) -> Iterator[Database]:
    """A database with the months that the tests write to."""
    with server.database() as database:
        with database.connect() as connection:
            connection.execute("""
                SELECT entasis.ensure_partitions(r, '2024-01-01 00:00+00', '2024-05-01 00:00+00')
                FROM unnest(ARRAY['market_data', 'option_data']) AS r
            """)
            connection.execute("""
                SELECT entasis.ensure_partitions(
                    'market_data', '2024-10-01 00:00+00', '2024-12-01 00:00+00'
                )
            """)
        yield database


@pytest.fixture(scope="module")
def shared(months: Database) -> Iterator[psycopg.Connection[Any]]:
    """One connection for all examples of all properties; each example takes its rows back."""
    with months.connect() as connection:
        yield connection


@dataclass(frozen=True)
class Session:
    """What a caller's session may be like, of which no answer may depend."""

    zone: str = "UTC"
    indexes: bool = True
    """False: the planner reads tables from end to end, so that an order is the query's own."""


sessions = st.builds(
    Session, st.sampled_from(("UTC", "America/New_York", "Asia/Kathmandu")), st.booleans()
)


@contextmanager
def example(connection: psycopg.Connection[Any], session: Session = Session()) -> Iterator[None]:
    """Run one example of a property, and leave nothing behind."""
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('timezone', %s, true)", (session.zone,))
        if not session.indexes:
            connection.execute("SET LOCAL enable_indexscan = off")
            connection.execute("SET LOCAL enable_indexonlyscan = off")
            connection.execute("SET LOCAL enable_bitmapscan = off")
        yield


def insert_trades(connection: psycopg.Connection[Any], trades: Sequence[Trade]) -> None:
    """Insert in two statements, so that what is stored may lie in any order."""
    half = len(trades) // 2
    for batch in filter(None, (trades[:half], trades[half:])):
        columns = zip(
            *((t.symbol, t.exchange, t.timestamp, t.id, t.price, t.volume) for t in batch),
            strict=True,
        )
        connection.execute(
            """
            INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
            SELECT * FROM unnest(
                %s::text[], %s::text[], %s::timestamptz[], %s::bigint[],
                %s::numeric[], %s::numeric[]
            )
            """,
            [list(column) for column in columns],
        )


def insert_quotes(connection: psycopg.Connection[Any], quotes: Sequence[OptionQuote]) -> None:
    for q in quotes:
        connection.execute(
            """
            INSERT INTO entasis.option_data (
                underlying, expiry_date, strike_price, option_type, timestamp, id,
                iv, delta, gamma, theta, vega
            ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [getattr(q, name) for name in q.__slots__],
        )


@pytest.fixture(scope="module")
def seeded(server: Server) -> Iterator[Database]:
    """Rows that every one of EXAMPLES finds some of."""
    with server.database() as database:
        with database.connect() as connection:
            connection.execute("""
                SELECT entasis.ensure_partitions(r, '2024-03-01 00:00+00', '2024-04-01 00:00+00')
                FROM unnest(ARRAY['market_data', 'option_data']) AS r
            """)
            insert_trades(
                connection,
                [trade(MARCH + n * MINUTE, n % 3, Decimal(100 + n)) for n in range(1, 90, 7)],
            )
            insert_quotes(
                connection, [quote(MARCH + n * MINUTE, strike=60000 + n) for n in range(2)]
            )
            insert_predictions(connection, [prediction(1, MARCH + 2 * MINUTE, MARCH + HOUR)])
            insert_snapshots(connection, [snapshot(1, USER, "BTC", MARCH)])
        yield database


# ------------------------------------------------------------------------------ files and functions


def test_every_file_has_one_function_and_every_function_a_file() -> None:
    files = sorted(path.stem for path in FOLDER.glob("*.sql"))
    assert sorted(statement.name for statement in EXAMPLES) == files
    functions = {
        name
        for name in queries.__all__
        if inspect.isfunction(getattr(queries, name))
        and "Statement" in str(inspect.signature(getattr(queries, name)).return_annotation)
    }
    # candles has a second file for its gaps
    assert functions == {*files} - {"candles_filled"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sql")), ids=lambda p: p.stem)
def test_every_file_is_prepared_for_a_reader(path: Path, login: Login) -> None:
    text, names = numbered(path.read_text(encoding="utf-8"))
    assert text.startswith("-- ")
    reader = login("entasis_reader")
    reader.execute(f"PREPARE named AS {text}")
    row = reader.execute(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'named'"
    ).fetchone()
    assert row == (len(names),)


@pytest.mark.parametrize("statement", EXAMPLES, ids=lambda s: s.name)
def test_parameters_and_columns_are_those_of_the_function(
    seeded: Database, statement: Statement[Any]
) -> None:
    assert set(numbered(statement.sql)[1]) == set(statement.params)
    with seeded.connect() as connection:
        cursor = connection.execute(statement.sql.encode(), statement.params)
        assert cursor.description is not None
        assert tuple(column.name for column in cursor.description) == statement.row.__slots__


# ----------------------------------------------------------------------------------- any connection


def fetch_async(database: Database, statement: Statement[Any]) -> tuple[list[Any], Any]:
    async def run() -> tuple[list[Any], Any]:
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True
        ) as connection:
            return await statement.fetch_async(connection), await statement.one_async(connection)

    return asyncio.run(run())


@pytest.mark.parametrize("statement", EXAMPLES, ids=lambda s: s.name)
def test_every_kind_of_connection_gives_the_same(
    seeded: Database, statement: Statement[Any]
) -> None:
    with seeded.connect() as connection:
        rows = statement.fetch(connection)
        assert rows
        assert all(type(row) is statement.row for row in rows)
        assert statement.one(connection) == rows[0]
    assert fetch_async(seeded, statement) == (rows, rows[0])
    for options in (
        {"row_factory": dict_row},
        {"cursor_factory": psycopg.ClientCursor},
        {"cursor_factory": psycopg.RawCursor},
        {"autocommit": False},
        {"prepare_threshold": 0},
        {"options": "-c timezone=America/New_York -c datestyle=SQL,DMY"},
        {"options": "-c timezone=Asia/Kathmandu -c intervalstyle=sql_standard"},
    ):
        with seeded.connect(**options) as connection:
            assert statement.fetch(connection) == rows
    with seeded.connect() as connection, connection.pipeline():
        assert statement.fetch(connection) == rows


def test_a_statement_joins_the_callers_transaction_and_leaves_the_session_alone(
    seeded: Database,
) -> None:
    statement = queries.trades(*MARKET, MARCH, MARCH + DAY)
    kathmandu = "-c timezone=Asia/Kathmandu"
    with seeded.connect(autocommit=False, options=kathmandu) as connection:
        settings = "SELECT name, setting FROM pg_settings ORDER BY 1"
        before = connection.execute(settings).fetchall()
        kept = statement.fetch(connection)
        assert connection.execute(settings).fetchall() == before
        insert_trades(connection, [trade(MARCH + HOUR, 77)])
        assert len(statement.fetch(connection)) == len(kept) + 1
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        connection.rollback()
        assert statement.fetch(connection) == kept
        connection.rollback()
        row = connection.execute("SELECT now()").fetchone()
        assert row is not None  # and what the caller reads still is in the caller's zone
        assert row[0].utcoffset() == 5 * HOUR + 45 * MINUTE


def test_times_are_in_utc_so_that_the_hour_that_comes_twice_equals_itself(
    months: Database,
) -> None:
    # 01:30 in New York on 3 November 2024, first in summer time and then in winter time
    twice = [datetime(2024, 11, 3, hour, 30, tzinfo=UTC) for hour in (5, 6)]
    with (
        months.connect(options="-c timezone=America/New_York") as connection,
        example(connection, Session("America/New_York")),
    ):
        insert_trades(connection, [trade(time, 1) for time in twice])
        rows = queries.trades(*MARKET, twice[0], twice[1] + SECOND).fetch(connection)
        assert [row.timestamp for row in rows] == twice
        assert all(row.timestamp.tzinfo is UTC for row in rows)
        hours = queries.candles(*MARKET, "1h", twice[0] - HOUR, twice[1]).fetch(connection)
        assert [row.bucket for row in hours] == [time.replace(minute=0) for time in twice]


def test_a_time_that_python_cannot_hold_is_an_error_that_says_so(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute("""
        INSERT INTO entasis.predictions
            (model_id, symbol, prediction_type, predicted_value, confidence, timestamp, target_time)
        VALUES ('m', 'BTCUSDT', 'price', 1, 1, '2024-03-01 00:00+00', '12024-03-01 00:00+00')
    """)
    with pytest.raises(psycopg.DataError, match="years 1 to 9999"):
        queries.predictions("m", MARKET[0], MARCH, MARCH + DAY).fetch(connection)


# ---------------------------------------------------------------------------------------- arguments


def test_a_mistaken_argument_is_refused_before_a_server_is_asked() -> None:
    naive = datetime(2024, 3, 1)  # noqa: DTZ001 - that is the mistake
    with pytest.raises(ValueError, match=r"from_time is 2024-03-01T00:00:00, without a time zone"):
        queries.trades(*MARKET, naive, MARCH)
    with pytest.raises(ValueError, match=r"to_time is .* without a time zone"):
        queries.candles(*MARKET, "1m", MARCH, naive)
    for to_time in (MARCH, MARCH - HOUR):
        with pytest.raises(ValueError, match="not before to_time"):
            queries.pnl_history(USER, MARCH, to_time)
    with pytest.raises(ValueError, match="limit is 0"):
        queries.trades(*MARKET, MARCH, MARCH + DAY, 0)
    with pytest.raises(QueryError, match=r"'2m'.*1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w, 1mo"):
        queries.candles(*MARKET, "2m", MARCH, MARCH + DAY)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="give call or put"):
        queries.option_history("BTC", MARCH, 1, "CALL", MARCH, MARCH + DAY)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="give a Decimal or an int"):
        queries.option_history("BTC", MARCH, 0.1, "call", MARCH, MARCH + DAY)  # type: ignore[arg-type]
    for span in (timedelta(0), -DAY):
        with pytest.raises(ValueError, match="max_age"):
            queries.option_chain("BTC", MARCH, span)
        with pytest.raises(ValueError, match="max_age"):
            queries.iv_smile("BTC", MARCH, MARCH, span)
        with pytest.raises(ValueError, match="lookback"):
            queries.prediction_scores("m", *MARKET, MARCH, MARCH + DAY, span)


def test_a_range_is_compared_as_instants() -> None:
    new_york = ZoneInfo("America/New_York")
    first = datetime(2024, 11, 3, 1, 45, tzinfo=new_york)
    second = datetime(2024, 11, 3, 1, 15, tzinfo=new_york, fold=1)
    assert first > second  # by the clock
    queries.trades(*MARKET, first, second)
    with pytest.raises(ValueError, match="not before"):
        queries.trades(*MARKET, second, first)


# ------------------------------------------------------------------------------- trades and candles


def trade(
    timestamp: datetime,
    number: int,
    price: Decimal = Decimal(1),
    volume: Decimal = Decimal(1),
    market: tuple[str, str] = MARKET,
) -> Trade:
    return Trade(*market, timestamp, number, price, volume)


# Around a Monday, a change of the month, and the days on which New York changes its clock.
ANCHORS = (
    datetime(2024, 2, 26, tzinfo=UTC),
    MARCH,
    datetime(2024, 3, 10, 7, tzinfo=UTC),
    datetime(2024, 11, 3, 6, tzinfo=UTC),
)
decimals = st.decimals("0.000000000001", "99999", places=12)
# few different offsets, so that timestamps tie and fall on the bounds of buckets
offsets = st.builds(
    lambda unit, count, edge: unit * count + edge,
    st.sampled_from((SECOND, MINUTE, 5 * MINUTE, HOUR, 4 * HOUR, DAY)),
    st.integers(-3, 3),
    st.sampled_from((timedelta(0), -MICROSECOND, MICROSECOND)),
)
markets = st.sampled_from(
    (
        MARKET,
        MARKET,
        MARKET,
        MARKET,
        ("BTCUSDT", "kraken"),
        ("ETHUSDT", "binance-spot"),
        ("BTC", "x"),
    )
)


def tied(moments: st.SearchStrategy[datetime]) -> st.SearchStrategy[st.SearchStrategy[datetime]]:
    """Draw a few moments and let rows share them: ties are where an order shows."""
    return st.lists(moments, min_size=3, max_size=6, unique=True).map(st.sampled_from)


def trades_at(
    moments: st.SearchStrategy[datetime], numbers: st.SearchStrategy[Decimal]
) -> st.SearchStrategy[list[Trade]]:
    return tied(moments).flatmap(
        lambda some: st.lists(
            st.builds(trade, some, st.integers(1, 9), numbers, numbers, markets),
            min_size=6,
            max_size=20,
            unique_by=lambda t: (t.symbol, t.exchange, t.timestamp, t.id),
        )
    )


# one anchor an example, or hardly two trades would share a candle
scenes = st.sampled_from(ANCHORS).flatmap(
    lambda anchor: st.tuples(
        st.just(anchor), trades_at(offsets.map(lambda offset: anchor + offset), decimals)
    )
)


def in_order(trades: Sequence[Trade], market: tuple[str, str] = MARKET) -> list[Trade]:
    own = (t for t in trades if (t.symbol, t.exchange) == market)
    return sorted(own, key=lambda t: (t.timestamp, t.id))


def bucket_of(interval: Interval, time: datetime) -> datetime:
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "1mo":
        return midnight.replace(day=1)
    if interval == "1w":
        return midnight - timedelta(days=time.weekday())
    step = STEPS[interval]
    return midnight + (time - midnight) // step * step


STEPS: dict[Interval, timedelta] = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "4h": 4 * HOUR,
    "1d": DAY,
    "1w": 7 * DAY,
}


def next_bucket(interval: Interval, bucket: datetime) -> datetime:
    if interval == "1mo":
        return (bucket + 31 * DAY).replace(day=1)
    return bucket + STEPS[interval]


def expected_candles(
    trades: Sequence[Trade],
    interval: Interval,
    from_time: datetime,
    to_time: datetime,
    fill_gaps: bool,
) -> list[Candle]:
    groups: dict[datetime, list[Trade]] = {}
    for t in in_order(trades):
        groups.setdefault(bucket_of(interval, t.timestamp), []).append(t)
    bucket = bucket_of(interval, from_time)
    if bucket < from_time:
        bucket = next_bucket(interval, bucket)
    earlier = [t.price for t in in_order(trades) if t.timestamp < bucket]
    close = earlier[-1] if earlier else None
    candles = []
    while bucket < to_time:
        if group := groups.get(bucket):
            prices = [t.price for t in group]
            first, last = group[0], group[-1]
            close = last.price
            with localcontext(prec=200):
                candles.append(
                    Candle(
                        *MARKET,
                        bucket,
                        first.price,
                        max(prices),
                        min(prices),
                        last.price,
                        sum((t.volume for t in group), Decimal(0)),
                        sum((t.price * t.volume for t in group), Decimal(0)),
                        len(group),
                        first.timestamp,
                        first.id,
                        last.timestamp,
                        last.id,
                    )
                )
        elif fill_gaps and close is not None:
            zero = Decimal(0)
            flat = Candle(
                *MARKET, bucket, close, close, close, close, zero, zero, 0, None, None, None, None
            )
            candles.append(flat)
        bucket = next_bucket(interval, bucket)
    return candles


@given(
    scene=scenes,
    width=st.sampled_from((MICROSECOND, MINUTE, HOUR, 30 * HOUR)),
    limit=st.none() | st.integers(1, 4),
    session=sessions,
)
def test_trades_are_those_of_the_range_in_order(
    shared: psycopg.Connection[Any],
    scene: tuple[datetime, list[Trade]],
    width: timedelta,
    limit: int | None,
    session: Session,
) -> None:
    anchor, trades = scene
    with example(shared, session):
        insert_trades(shared, trades)
        # bounds that trades lie on exactly, and bounds as a caller in that zone would give them
        bounds = {anchor, *(t.timestamp for t in trades), *(t.timestamp - width for t in trades)}
        for start in bounds:
            end = start + width
            found = queries.trades(
                *MARKET,
                start.astimezone(ZoneInfo(session.zone)),
                end.astimezone(ZoneInfo(session.zone)),
                limit,
            ).fetch(shared)
            assert found == [t for t in in_order(trades) if start <= t.timestamp < end][:limit]


@given(
    scene=scenes,
    edge=st.sampled_from((timedelta(0), MICROSECOND, -MICROSECOND, MINUTE)),
    before=st.integers(0, 6),
    after=st.integers(1, 6),
    fill_gaps=st.booleans(),
    session=sessions,
)
def test_candles_are_what_their_trades_come_to(
    shared: psycopg.Connection[Any],
    scene: tuple[datetime, list[Trade]],
    edge: timedelta,
    before: int,
    after: int,
    fill_gaps: bool,
    session: Session,
) -> None:
    anchor, trades = scene
    with example(shared, session):
        insert_trades(shared, trades)
        for interval in INTERVALS:
            step = STEPS.get(interval, 31 * DAY)
            # a few buckets on each side, and for short ones so far that trades are among them
            start, end = anchor - before * step + edge, anchor + after * step + edge
            found = queries.candles(*MARKET, interval, start, end, fill_gaps).fetch(shared)
            assert found == expected_candles(trades, interval, start, end, fill_gaps), interval


@given(scene=scenes, session=sessions)
def test_the_latest_price_is_the_newest_trade(
    shared: psycopg.Connection[Any], scene: tuple[datetime, list[Trade]], session: Session
) -> None:
    _, trades = scene
    with example(shared, session):
        insert_trades(shared, trades)
        known = sorted({(t.symbol, t.exchange) for t in trades})
        newest = [in_order(trades, market)[-1] for market in known]
        assert queries.latest_prices().fetch(shared) == newest
        for market, last in zip(known, newest, strict=True):
            assert queries.latest_price(*market).fetch(shared) == [last]
        assert queries.latest_price("NONE", "nowhere").one(shared) is None


def test_gaps_are_filled_up_to_the_present_only(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute("SELECT date_trunc('hour', now(), 'UTC')").fetchone()
    assert row is not None
    this_hour: datetime = row[0]
    last = this_hour - 3 * HOUR
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)", (last, this_hour + HOUR)
    )
    insert_trades(connection, [trade(last, 1)])
    filled = queries.candles(*MARKET, "1h", last - DAY, this_hour + DAY, fill_gaps=True)
    found = [candle.bucket for candle in filled.fetch(connection)]
    assert found[:4] == [last + n * HOUR for n in range(4)]
    assert found[4:] in ([], [last + 4 * HOUR])  # the clock may have struck in between


def test_vwap_is_one_quotient_of_34_digits_whatever_the_context() -> None:
    def candle(volume: Decimal, quote_volume: Decimal) -> Candle:
        one = Decimal(1)
        return Candle(*MARKET, MARCH, one, one, one, one, volume, quote_volume, 1, None, 1, None, 1)

    third = candle(Decimal(3), Decimal(1))
    with localcontext(prec=3) as context:
        context.traps[Inexact] = True
        assert third.vwap == Decimal("0." + 34 * "3")
    assert candle(Decimal(0), Decimal(0)).vwap is None
    assert candle(Decimal("0.000000000001"), Decimal("1E-24")).vwap == Decimal("1E-12")


# ------------------------------------------------------------------------------------------ options


def quote(
    timestamp: datetime,
    number: int = 1,
    underlying: str = "BTC",
    expiry: datetime = MARCH + 28 * DAY,
    strike: int = 60000,
    option_type: OptionType = "call",
    iv: Decimal | None = Decimal("0.65"),
) -> OptionQuote:
    delta = Decimal(number) / 8
    return OptionQuote(
        underlying,
        expiry,
        Decimal(strike),
        option_type,
        timestamp,
        number,
        iv,
        delta,
        Decimal("0.00002"),
        None,
        Decimal("1.5"),
    )


# around the change of a month, with a few ties
quote_times = st.builds(
    lambda hours, edge: MARCH + hours * HOUR + edge,
    st.integers(-30, 30),
    st.sampled_from((timedelta(0), MICROSECOND, -MICROSECOND)),
)
EARLY = MARCH + 6 * HOUR
expiries = st.sampled_from((EARLY, MARCH + 28 * DAY))


def contract(q: OptionQuote) -> tuple[datetime, Decimal, OptionType]:
    return (q.expiry_date, q.strike_price, q.option_type)


some_quotes = tied(quote_times).flatmap(
    lambda some: st.lists(
        st.builds(
            quote,
            some,
            st.integers(1, 5),
            st.sampled_from(("BTC", "BTC", "BTC", "ETH")),
            expiries,
            st.sampled_from((900, 1000)),  # in the order of numbers, not of letters
            st.sampled_from(get_args(OptionType)),
            st.sampled_from((None, Decimal("0.65"), Decimal(0))),
        ),
        min_size=8,
        max_size=24,
        unique_by=lambda q: (q.underlying, *contract(q), q.timestamp, q.id),
    )
)


@given(
    quotes=some_quotes,
    at=quote_times,
    max_age=st.sampled_from((MICROSECOND, HOUR, DAY, 40 * DAY)),
    session=sessions,
)
def test_an_option_chain_is_the_newest_quote_of_every_living_contract(
    shared: psycopg.Connection[Any],
    quotes: list[OptionQuote],
    at: datetime,
    max_age: timedelta,
    session: Session,
) -> None:
    with example(shared, session):
        insert_quotes(shared, quotes)
        # moments that an expiry, quotes and the far end of their age lie on exactly
        moments = {at, EARLY, *(q.timestamp for q in quotes)}
        for moment in moments | {q.timestamp + max_age for q in quotes}:
            fresh = sorted(
                (
                    q
                    for q in quotes
                    if q.underlying == "BTC" and moment - max_age < q.timestamp <= moment
                ),
                key=lambda q: (q.timestamp, q.id),
            )
            chain = {contract(q): q for q in fresh if q.expiry_date > moment}
            found = queries.option_chain("BTC", moment, max_age).fetch(shared)
            assert found == [chain[key] for key in sorted(chain)]
            for expiry in {q.expiry_date for q in quotes}:
                smile = {
                    contract(q)[1:]: q
                    for q in fresh
                    if q.expiry_date == expiry and q.iv is not None
                }
                points = queries.iv_smile("BTC", expiry, moment, max_age).fetch(shared)
                assert points == [
                    SmilePoint(*key, smile[key].iv, smile[key].timestamp, smile[key].id)  # type: ignore[arg-type]
                    for key in sorted(smile)
                ]


def test_a_day_of_a_chain_has_24_hours_when_the_sessions_day_has_23(
    months: Database,
) -> None:
    # New York's clock jumped at 07:00 UTC on 10 March
    at = datetime(2024, 3, 10, 12, tzinfo=UTC)
    with months.connect() as connection, example(connection, Session("America/New_York")):
        insert_quotes(connection, [quote(at - DAY + MICROSECOND), quote(at - DAY, strike=1)])
        local = at.astimezone(ZoneInfo("America/New_York"))
        for moment in (at, local):
            (found,) = queries.option_chain("BTC", moment).fetch(connection)
            assert found.timestamp == at - DAY + MICROSECOND
            (point,) = queries.iv_smile("BTC", MARCH + 28 * DAY, moment).fetch(connection)
            assert point.timestamp == at - DAY + MICROSECOND


@given(quotes=some_quotes, from_time=quote_times, session=sessions)
def test_an_options_history_is_its_quotes_in_order(
    shared: psycopg.Connection[Any],
    quotes: list[OptionQuote],
    from_time: datetime,
    session: Session,
) -> None:
    with example(shared, session):
        insert_quotes(shared, quotes)
        bounds = {from_time, *(q.timestamp for q in quotes), *(q.timestamp - DAY for q in quotes)}
        for start in bounds:
            for key in {contract(q) for q in quotes}:
                expiry, strike, option_type = key
                found = queries.option_history(
                    "BTC",
                    expiry,
                    strike,
                    option_type,
                    start,
                    start + DAY,
                ).fetch(shared)
                assert found == sorted(
                    (
                        q
                        for q in quotes
                        if q.underlying == "BTC"
                        and contract(q) == key
                        and start <= q.timestamp < start + DAY
                    ),
                    key=lambda q: (q.timestamp, q.id),
                )


# -------------------------------------------------------------------------------------- predictions


def prediction(
    number: int,
    timestamp: datetime,
    target_time: datetime | None,
    prediction_type: str = "price",
    value: Decimal = Decimal(1),
    model_id: str = "m",
    symbol: str = MARKET[0],
) -> Prediction:
    confidence = Decimal("0.5")
    return Prediction(
        number, model_id, symbol, prediction_type, value, confidence, timestamp, target_time
    )


def insert_predictions(
    connection: psycopg.Connection[Any], predictions: Sequence[Prediction]
) -> None:
    for p in predictions:
        connection.execute(
            """
            INSERT INTO entasis.predictions (
                id, model_id, symbol, prediction_type, predicted_value, confidence,
                timestamp, target_time
            ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [getattr(p, name) for name in p.__slots__],
        )


def price_at(
    trades: Sequence[Trade], moment: datetime | None, lookback: timedelta
) -> Decimal | None:
    if moment is None or moment > datetime.now(UTC):
        return None
    minutes: dict[datetime, Trade] = {bucket_of("1m", t.timestamp): t for t in in_order(trades)}
    closes = [t for t in minutes.values() if moment - lookback < t.timestamp <= moment]
    return closes[-1].price if closes else None


def sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)


def check_score(
    score: PredictionScore, trades: Sequence[Trade], asked: Prediction, lookback: timedelta
) -> None:
    assert all(getattr(score, name) == getattr(asked, name) for name in asked.__slots__)
    base = price_at(trades, asked.timestamp, lookback)
    target = price_at(trades, asked.target_time, lookback)
    assert (score.base_price, score.target_price) == (base, target)
    value = asked.predicted_value
    match asked.prediction_type:
        case "price":
            assert score.actual_value == target
            assert score.error == (None if target is None else value - target)
        case "return" if base is not None and target is not None:
            exact = Fraction(target) / Fraction(base) - 1
            assert score.actual_value is not None
            # half of the sixteenth digit at most
            assert abs(Fraction(score.actual_value) - exact) <= abs(exact) * Fraction(1, 10**15) / 2
            with localcontext(prec=200):
                assert score.error == value - score.actual_value
        case "direction" if base is not None and target is not None:
            assert score.actual_value == sign(target - base)
            assert score.error == value - sign(target - base)
        case _:
            assert score.actual_value is None
            assert score.error is None
    if base is None or target is None or asked.prediction_type == "own":
        assert score.hit is None
    else:
        predicted = value - base if asked.prediction_type == "price" else value
        assert score.hit is (sign(predicted) == sign(target - base))


score_times = st.builds(
    lambda minutes, edge: MARCH + minutes * 20 * SECOND + edge,
    st.integers(-6, 6),
    st.sampled_from((timedelta(0), MICROSECOND, -MICROSECOND)),
)
prices = st.sampled_from([Decimal(p) for p in ("1", "1.000000000001", "3", "7", "70000.01")])


@given(
    trades=trades_at(score_times, prices),
    asked=tied(score_times).flatmap(
        lambda some: st.lists(
            st.tuples(
                some,
                st.none()
                | st.sampled_from((timedelta(0), 20 * SECOND, MINUTE, 3 * MINUTE, 40 * DAY)),
                st.sampled_from(("price", "return", "direction", "own")),
                st.sampled_from((Decimal(-1), Decimal(0), Decimal("0.01"), Decimal(3))),
            ),
            min_size=2,
            max_size=8,
        )
    ),
    lookback=st.sampled_from((MICROSECOND, 20 * SECOND, MINUTE, DAY)),
    session=sessions,
)
def test_a_prediction_is_scored_by_what_happened(
    shared: psycopg.Connection[Any],
    trades: list[Trade],
    asked: list[tuple[datetime, timedelta | None, str, Decimal]],
    lookback: timedelta,
    session: Session,
) -> None:
    made = [
        prediction(n, time, None if ahead is None else time + ahead, kind, value)
        for n, (time, ahead, kind, value) in zip(NUMBERS, asked, strict=False)
    ]
    strangers = [
        prediction(1000, MARCH, None, model_id="other"),
        prediction(1001, MARCH, None, symbol="ETHUSDT"),
    ]
    with example(shared, session):
        insert_trades(shared, trades)
        insert_predictions(shared, [*made, *strangers])
        made.sort(key=lambda p: (p.timestamp, p.id))
        first, last = made[0].timestamp, made[-1].timestamp
        # ranges that begin and end where a prediction lies
        for start, end in ((first - SECOND, last), (first, last + SECOND)):
            expected = [p for p in made if start <= p.timestamp < end]
            assert queries.predictions("m", MARKET[0], start, end).fetch(shared) == expected
            scores = queries.prediction_scores("m", *MARKET, start, end, lookback).fetch(shared)
            assert [score.id for score in scores] == [p.id for p in expected]
            for score, p in zip(scores, expected, strict=True):
                check_score(score, trades, p, lookback)


@pytest.mark.parametrize(
    ("prediction_type", "value", "actual", "hit"),
    [
        ("price", "105", "110", True),  # too low, but on the right side of 100
        ("price", "95", "110", False),
        ("price", "100", "110", False),
        ("return", "0.2", "0.1", True),
        ("return", "-0.1", "0.1", False),
        ("direction", "7", "1", True),
        ("direction", "0", "1", False),
        ("direction", "-1", "1", False),
        ("own", "110", None, None),
    ],
)
def test_a_score_says_what_happened_and_whether_the_side_was_right(
    months: Database, prediction_type: str, value: str, actual: str | None, hit: bool | None
) -> None:
    with months.connect() as connection, example(connection):
        insert_trades(
            connection, [trade(MARCH, 1, Decimal(100)), trade(MARCH + HOUR, 1, Decimal(110))]
        )
        asked = prediction(1, MARCH + MINUTE, MARCH + 2 * HOUR, prediction_type, Decimal(value))
        insert_predictions(connection, [asked])
        score = queries.prediction_scores("m", *MARKET, MARCH, MARCH + DAY).one(connection)
        assert score is not None
        assert (score.base_price, score.target_price) == (Decimal(100), Decimal(110))
        assert score.hit is hit
        if actual is None:
            assert (score.actual_value, score.error) == (None, None)
        else:
            assert score.actual_value == Decimal(actual)
            assert score.error == Decimal(value) - Decimal(actual)


def test_a_target_that_is_still_to_come_has_no_price(connection: psycopg.Connection[Any]) -> None:
    now = datetime.now(UTC)
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)", (now - HOUR, now + HOUR)
    )
    insert_trades(connection, [trade(now - 2 * MINUTE, 1)])
    asked = [
        prediction(1, now - MINUTE, now - SECOND),
        prediction(2, now - MINUTE, now + HOUR),
    ]
    insert_predictions(connection, asked)
    past, future = queries.prediction_scores("m", *MARKET, now - HOUR, now).fetch(connection)
    assert (past.base_price, past.target_price) == (Decimal(1), Decimal(1))
    assert (future.base_price, future.target_price, future.hit) == (Decimal(1), None, None)


def test_a_lookback_of_a_day_has_24_hours_when_the_sessions_day_has_23(months: Database) -> None:
    at = datetime(2024, 3, 10, 12, tzinfo=UTC)
    with months.connect() as connection, example(connection, Session("America/New_York")):
        insert_trades(connection, [trade(at - 23 * HOUR - 30 * MINUTE, 1)])
        insert_predictions(connection, [prediction(1, at, at)])
        (score,) = queries.prediction_scores("m", *MARKET, at, at + SECOND).fetch(connection)
        assert (score.base_price, score.target_price) == (Decimal(1), Decimal(1))


# ---------------------------------------------------------------------------------------- portfolio


def snapshot(number: int, user: UUID, asset: str, timestamp: datetime) -> PositionSnapshot:
    return PositionSnapshot(
        number,
        user,
        asset,
        Decimal("-0.5"),
        Decimal("60000.01"),
        Decimal(61000 + number),
        Decimal("-499.995"),
        timestamp,
    )


def insert_snapshots(
    connection: psycopg.Connection[Any], snapshots: Sequence[PositionSnapshot]
) -> None:
    for s in snapshots:
        connection.execute(
            """
            INSERT INTO entasis.portfolio_status (
                id, user_id, asset_type, position_size, entry_price, current_price, pnl, timestamp
            ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [getattr(s, name) for name in s.__slots__],
        )


@given(
    drawn=tied(score_times).flatmap(
        lambda some: st.lists(
            st.tuples(
                st.sampled_from((USER, USER, OTHER)),
                st.sampled_from(("BTC", "btc", "Ä")),
                some,
            ),
            min_size=6,
            max_size=16,
        )
    ),
    session=sessions,
)
def test_a_portfolio_is_the_newest_snapshot_of_each_position(
    shared: psycopg.Connection[Any],
    drawn: list[tuple[UUID, str, datetime]],
    session: Session,
) -> None:
    snapshots = [snapshot(n, *row) for n, row in zip(NUMBERS, drawn, strict=False)]
    with example(shared, session):
        insert_snapshots(shared, snapshots)
        own = sorted((s for s in snapshots if s.user_id == USER), key=lambda s: (s.timestamp, s.id))
        newest = {s.asset_type: s for s in own}
        expected = [newest[asset] for asset in sorted(newest)]
        assert queries.portfolio(USER).fetch(shared) == expected
        width = 40 * SECOND
        bounds = {MARCH, *(s.timestamp for s in own), *(s.timestamp - width for s in own)}
        for start in bounds:
            end = start + width
            found = queries.pnl_history(USER, start, end).fetch(shared)
            assert found == [s for s in own if start <= s.timestamp < end]


def test_a_mapped_login_sees_its_own_positions_only(
    connection: psycopg.Connection[Any], login: Login
) -> None:
    insert_snapshots(
        connection, [snapshot(1, USER, "BTC", MARCH), snapshot(2, OTHER, "ETH", MARCH)]
    )
    reader = login("entasis_reader")
    history = queries.pnl_history(OTHER, MARCH, MARCH + DAY)
    for user in (USER, OTHER):
        assert queries.portfolio(user).fetch(reader) == []  # mapped to nobody
    connection.execute("INSERT INTO entasis.user_logins VALUES (%s, %s)", (reader.info.user, USER))
    assert [s.id for s in queries.portfolio(USER).fetch(reader)] == [1]
    assert queries.portfolio(OTHER).fetch(reader) == []
    assert history.fetch(reader) == []
    assert [s.id for s in history.fetch(connection)] == [2]
