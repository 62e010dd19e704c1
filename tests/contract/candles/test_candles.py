"""The promise of the candles: after every commit, all nine levels are what the trades say.

What one writer does is here; several at once are in test_concurrency.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st
from psycopg import errors, sql

from tests import oracle
from tests.conftest import Login
from tests.engines import Database

Connection = psycopg.Connection[Any]

MONTHS = (datetime(2024, 10, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC))

# Every border that a bucket can have, and the moments at which zones change their clocks.
BORDERS = (
    datetime(2025, 1, 1, tzinfo=UTC),  # a year, in the middle of a week
    datetime(2025, 2, 1, tzinfo=UTC),  # a month, in the middle of a week
    datetime(2025, 2, 3, tzinfo=UTC),  # a week
    datetime(2025, 2, 3, 4, tzinfo=UTC),  # four hours
    datetime(2025, 2, 3, 5, tzinfo=UTC),  # an hour
    datetime(2025, 2, 3, 5, 30, tzinfo=UTC),  # half an hour
    datetime(2025, 2, 3, 5, 35, tzinfo=UTC),  # five minutes
    datetime(2025, 3, 9, 7, tzinfo=UTC),  # New York goes from 02:00 to 03:00
    datetime(2025, 3, 30, 1, tzinfo=UTC),  # Berlin does
    datetime(2025, 4, 5, 15, 30, tzinfo=UTC),  # Lord Howe Island goes back by half an hour
)
MICROSECOND = timedelta(microseconds=1)
AROUND = tuple(
    timedelta(microseconds=n) for n in (0, -1, 1, 500, -60_000_000, 59_999_999, 60_000_000)
)
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin")

SYMBOLS = ("BTC", "ETH")
EXCHANGES = ("one", "two")
PRICES = tuple(
    Decimal(p) for p in ("10", "10.0", "9.5", "11", "0.000000000001", "123456.789012345678")
)
VOLUMES = tuple(Decimal(v) for v in ("1", "2.50", "0.000000000001", "1000000.000001"))

Trade = tuple[int, str, str, datetime, Decimal, Decimal]
TRADE_COLUMNS = "id, symbol, exchange, timestamp, price, volume"
TRADE_TYPES = "int8, text, text, timestamptz, numeric, numeric"


# What a history consists of


@dataclass(frozen=True)
class Statement:
    """One statement; in a savepoint of its own, it may fail without taking the others along."""

    query: str
    parameters: tuple[Any, ...] = ()
    in_savepoint: bool = False
    undone: bool = False

    def run(self, connection: Connection) -> None:
        connection.execute(self.query, self.parameters)


@dataclass(frozen=True)
class Copy:
    """COPY FROM STDIN."""

    rows: tuple[Trade, ...]
    in_savepoint: bool = False
    undone: bool = False

    def run(self, connection: Connection) -> None:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY entasis.market_data ({TRADE_COLUMNS}) FROM STDIN") as copy,
        ):
            for row in self.rows:
                copy.write_row(row)


Step = Statement | Copy


@dataclass(frozen=True)
class Transaction:
    steps: tuple[Step, ...]
    zone: str = "UTC"
    committed: bool = True


def values(rows: Sequence[Trade], *more: str) -> str:
    """VALUES with one typed list of placeholders a row, and what else each row has."""
    casts = [f"%s::{t}" for t in [*TRADE_TYPES.split(", "), *more]]
    return "VALUES " + ", ".join([f"({', '.join(casts)})"] * len(rows))


def flat(rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    return tuple(value for row in rows for value in row)


@st.composite
def histories(
    draw: st.DrawFn, *, copy: bool = False, merge_moves: bool = True, merges: bool = True
) -> list[Transaction]:
    """Transactions over few markets, times and ids, so that trades meet each other often.

    Without merges, there is only what both engines take, and what has one outcome.
    """
    times = draw(
        st.lists(
            st.builds(lambda b, a: b + a, st.sampled_from(BORDERS), st.sampled_from(AROUND)),
            min_size=1,
            max_size=6,
            unique=True,
        )
    )
    time = st.sampled_from(times)
    markets = st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(EXCHANGES))
    trade = st.builds(
        lambda i, m, t, p, v: (i, *m, t, p, v),
        st.integers(1, 4),
        markets,
        time,
        st.sampled_from(PRICES),
        st.sampled_from(VOLUMES),
    )
    trades = st.lists(trade, min_size=1, max_size=8).map(tuple)
    # one row a key, where a statement may not touch a row twice
    distinct = st.lists(trade, min_size=1, max_size=8, unique_by=lambda t: t[:4]).map(tuple)

    condition = st.one_of(
        st.just(("true", ())),
        st.just(("false", ())),
        st.tuples(st.just("t.id = %s"), st.tuples(st.integers(1, 4))),
        st.tuples(st.just("t.timestamp = %s"), st.tuples(time)),
        st.tuples(st.just("t.timestamp >= %s"), st.tuples(time)),
        st.tuples(
            st.just("t.timestamp >= %s AND t.timestamp < %s::timestamptz + interval '1 minute'"),
            time.map(lambda t: (t, t)),
        ),
        st.tuples(st.just("t.symbol = %s AND t.exchange = %s"), markets),
        st.tuples(
            st.just("t.symbol = %s AND t.exchange = %s AND t.id <= %s"),
            st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(EXCHANGES), st.integers(1, 3)),
        ),
    )
    change = st.sampled_from(
        [
            "price = t.price + 1",
            "price = 10, volume = 1",
            "volume = t.volume * 2",
            "created_at = now()",
            "timestamp = t.timestamp + interval '1 microsecond'",
            "timestamp = t.timestamp - interval '1 microsecond'",
            "timestamp = t.timestamp + interval '1 minute'",
            "timestamp = t.timestamp - interval '1 hour', price = t.price + 1",
            "timestamp = t.timestamp + interval '24 hours'",
            # to another partition and back
            "timestamp = t.timestamp + interval '744 hours' * "
            "CASE WHEN t.timestamp < '2025-02-01 00:00:00+00' THEN 1 ELSE -1 END",
            "symbol = CASE t.symbol WHEN 'BTC' THEN 'ETH' ELSE 'BTC' END",
            "exchange = CASE t.exchange WHEN 'one' THEN 'two' ELSE 'one' END, volume = 1",
            "id = t.id + 100",
            "id = 1000 - t.id",
        ]
    )

    insert = f"INSERT INTO entasis.market_data ({TRADE_COLUMNS})"

    def inserted(rows: tuple[Trade, ...]) -> Step:
        return Statement(f"{insert} {values(rows)}", flat(rows))

    def inserted_if_new(rows: tuple[Trade, ...]) -> Step:
        return Statement(f"{insert} {values(rows)} ON CONFLICT DO NOTHING", flat(rows))

    def upserted(rows: tuple[Trade, ...], how: str) -> Step:
        return Statement(
            f"{insert.replace(' (', ' AS t (', 1)} {values(rows)}"
            f" ON CONFLICT (symbol, exchange, timestamp, id) DO UPDATE SET {how}",
            flat(rows),
        )

    def merged(rows: tuple[Trade, ...], orders: list[str]) -> Step:
        orders = orders[: len(rows)]
        rows = rows[: len(orders)]
        return Statement(
            "MERGE INTO entasis.market_data AS t"
            f" USING ({values(rows, 'text')}) AS s ({TRADE_COLUMNS}, what)"
            " ON (t.symbol, t.exchange, t.timestamp, t.id)"
            " = (s.symbol, s.exchange, s.timestamp, s.id)"
            " WHEN MATCHED AND s.what = 'delete' THEN DELETE"
            " WHEN MATCHED AND s.what = 'nothing' THEN DO NOTHING"
            " WHEN MATCHED AND s.what = 'move'"
            " THEN UPDATE SET timestamp = s.timestamp + interval '1 minute', price = s.price"
            " WHEN MATCHED THEN UPDATE SET price = s.price, volume = s.volume"
            " WHEN NOT MATCHED AND s.what <> 'nothing'"
            f" THEN INSERT ({TRADE_COLUMNS})"
            f" VALUES (s.{', s.'.join(TRADE_COLUMNS.split(', '))})",
            flat([(*row, order) for row, order in zip(rows, orders, strict=True)]),
        )

    def updated(how: str, where: tuple[str, tuple[Any, ...]]) -> Step:
        return Statement(f"UPDATE entasis.market_data AS t SET {how} WHERE {where[0]}", where[1])

    def deleted(where: tuple[str, tuple[Any, ...]]) -> Step:
        return Statement(f"DELETE FROM entasis.market_data AS t WHERE {where[0]}", where[1])

    def moved_by_hand(where: tuple[str, tuple[Any, ...]], step: str) -> Step:
        return Statement(
            f"WITH gone AS (DELETE FROM entasis.market_data AS t WHERE {where[0]} RETURNING t.*)"
            f" {insert} SELECT g.id, g.symbol, g.exchange, g.timestamp + interval '{step}',"
            " g.price + 1, g.volume FROM gone AS g",
            where[1],
        )

    def inserted_twice(one: tuple[Trade, ...], other: tuple[Trade, ...]) -> Step:
        return Statement(
            f"WITH a AS ({insert} {values(one)} ON CONFLICT DO NOTHING)"
            f" {insert} {values(other)} ON CONFLICT DO NOTHING",
            flat(one) + flat(other),
        )

    def all_at_once(
        rows: tuple[Trade, ...],
        how: str,
        where: tuple[str, tuple[Any, ...]],
        other: tuple[str, tuple[Any, ...]],
    ) -> Step:
        # What two parts do to one row is not defined, but the candles must follow whatever it is.
        return Statement(
            f"WITH d AS (DELETE FROM entasis.market_data AS t WHERE {where[0]}),"
            f" u AS (UPDATE entasis.market_data AS t SET {how} WHERE {other[0]})"
            f" {insert} {values(rows)} ON CONFLICT DO NOTHING",
            where[1] + other[1] + flat(rows),
        )

    kinds: list[st.SearchStrategy[Step]] = [
        st.builds(inserted, distinct),
        st.builds(inserted_if_new, trades),
        st.builds(
            upserted,
            distinct,
            st.sampled_from(
                [
                    "price = excluded.price, volume = excluded.volume",
                    "volume = t.volume + excluded.volume",
                    "price = excluded.price WHERE t.price <> excluded.price",
                    "price = excluded.price WHERE false",
                    "id = excluded.id + 10",
                ]
            ),
        ),
        st.builds(updated, change, condition),
        st.builds(deleted, condition),
        st.builds(moved_by_hand, condition, st.sampled_from(["1 second", "1 minute", "1 hour"])),
        st.builds(inserted_twice, trades, trades),
    ]
    if merges:
        kinds.append(st.builds(all_at_once, trades, change, condition, condition))
        kinds.append(
            st.builds(
                merged,
                distinct,
                st.lists(
                    st.sampled_from(
                        ["write", "delete", "nothing", *(["move"] if merge_moves else [])]
                    ),
                    min_size=1,
                    max_size=8,
                ),
            )
        )
    if copy:
        kinds.append(st.builds(Copy, distinct))
    step = st.builds(
        lambda s, in_savepoint, undone: type(s)(
            **{**vars(s), "in_savepoint": in_savepoint or undone, "undone": undone}
        ),
        st.one_of(kinds),
        st.booleans(),
        st.sampled_from([False, False, False, True]),
    )
    return draw(
        st.lists(
            st.builds(
                Transaction,
                # something to work on comes first, and is not in a savepoint
                st.tuples(
                    st.builds(inserted_if_new, trades), st.lists(step, min_size=0, max_size=4)
                ).map(lambda s: (s[0], *s[1])),
                st.sampled_from(ZONES),
                st.sampled_from([True, True, True, False]),
            ),
            min_size=1,
            max_size=5,
        )
    )


# Two rows of a statement may want the same key, and then PostgreSQL refuses the whole statement.
# A hypertable takes no MERGE that changes rows, and none of its rows goes to another chunk.
REFUSED = (
    errors.UniqueViolation,
    errors.CardinalityViolation,
    errors.FeatureNotSupported,
    errors.CheckViolation,
)


def run(connection: Connection, transaction: Transaction) -> None:
    """Run a transaction as a client would; what the server refuses leaves nothing behind."""
    try:
        with connection.transaction(force_rollback=not transaction.committed):
            connection.execute("SELECT set_config('TimeZone', %s, true)", [transaction.zone])
            for step in transaction.steps:
                if not step.in_savepoint:
                    step.run(connection)
                    continue
                try:
                    with connection.transaction(force_rollback=step.undone):
                        step.run(connection)
                except REFUSED:
                    event("a savepoint took the error")
    except REFUSED:
        event("the transaction failed")


def empty(connection: Connection, engine: str) -> None:
    """Take away all trades, and whatever candles a failed example left behind."""
    connection.execute("DELETE FROM entasis.market_data")
    oracle.refresh(connection)
    if engine == "postgresql":
        for level in oracle.STORED:
            connection.execute(f"DELETE FROM entasis.ohlcv_{level}")


@pytest.fixture
def trading(connection: Connection) -> Connection:
    """A connection to a database with partitions for the months of these tests."""
    connection.execute("SELECT entasis.ensure_partitions('market_data', %s, %s)", MONTHS)
    return connection


def insert(connection: Connection, *rows: Trade) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO entasis.market_data ({TRADE_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)",
            rows,
        )


def trade(time: datetime, trade_id: int = 1, price: str = "10", volume: str = "1") -> Trade:
    return (trade_id, "BTC", "one", time, Decimal(price), Decimal(volume))


# Histories


@given(history=histories())
def test_candles_follow_every_history(
    trading: Connection, database: Database, history: list[Transaction]
) -> None:
    empty(trading, database.engine)
    for transaction in history:
        run(trading, transaction)
        oracle.assert_candles_are_right(trading)


@pytest.mark.copy
@settings(max_examples=max(5, settings().max_examples // 4))
@given(history=histories(copy=True))
def test_candles_follow_histories_with_copy(
    trading: Connection, database: Database, history: list[Transaction]
) -> None:
    assume(any(isinstance(step, Copy) for t in history for step in t.steps))
    empty(trading, database.engine)
    for transaction in history:
        run(trading, transaction)
        oracle.assert_candles_are_right(trading)


@pytest.mark.parametrize(
    ("step", "deletes", "inserts"),
    [
        ("1 minute", False, False),
        ("1 minute", True, False),
        ("1 minute", False, True),
        ("1 minute", True, True),
        ("31 days", False, False),
        ("31 days", True, False),
        ("31 days", False, True),
        ("31 days", True, True),
    ],
)
def test_merge_may_move_trades(
    trading: Connection, database: Database, step: str, deletes: bool, inserts: bool
) -> None:
    if database.engine == "timescaledb":
        pytest.skip("a hypertable with a columnstore takes no MERGE that changes rows")
    time = datetime(2025, 1, 1, tzinfo=UTC)
    insert(trading, trade(time, 2), trade(time, 3))
    with trading.transaction():
        # a nested loop takes the source's rows in their order: the INSERT action comes first
        for method in ("hashjoin", "mergejoin"):
            trading.execute(f"SET LOCAL enable_{method} = off")
        trading.execute(
            "MERGE INTO entasis.market_data AS t"
            " USING (VALUES (1), (2)) AS s (id) ON t.id = s.id"
            + (" WHEN MATCHED AND t.price > 1000 THEN DELETE" if deletes else "")
            + f" WHEN MATCHED THEN UPDATE SET timestamp = t.timestamp + interval '{step}'"
            + (
                f" WHEN NOT MATCHED THEN INSERT ({TRADE_COLUMNS})"
                " VALUES (s.id, 'BTC', 'one', '2025-01-01 00:00:00+00', 10, 1)"
                if inserts
                else ""
            )
        )
    moved = time + (timedelta(minutes=1) if step == "1 minute" else timedelta(days=31))
    one = (Decimal(10), Decimal(1))
    oracle.assert_candles_are_right(
        trading,
        {
            ("BTC", "one", moved, 2): one,
            ("BTC", "one", time, 3): one,
            **({("BTC", "one", time, 1): one} if inserts else {}),
        },
    )


# What a user's own trigger may write, besides the statement that fires it. The guard on the depth
# keeps a trigger from firing itself for ever.
TRIGGER_BODIES = {
    "insert": """
        INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)
        SELECT 5000, t.symbol, t.exchange, t.timestamp, t.price + 1, 1
        FROM entasis.market_data AS t WHERE t.id <= 2
        ON CONFLICT DO NOTHING;""",
    "upsert": """
        INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)
        SELECT i, 'BTC', 'one', '2025-02-03 05:00:00+00', 7, 1 FROM generate_series(1, 3) AS i
        ON CONFLICT (symbol, exchange, timestamp, id)
        DO UPDATE SET volume = market_data.volume + 1;""",
    "update": """
        UPDATE entasis.market_data SET volume = volume + 1 WHERE id IN (1, 3);""",
    "move": """
        UPDATE entasis.market_data
        SET id = id + 10000, timestamp = timestamp + interval '1 minute' WHERE id = 2;""",
    "delete": """
        DELETE FROM entasis.market_data WHERE id = 1;""",
    "undone": """
        BEGIN
            DELETE FROM entasis.market_data WHERE id IN (1, 2);
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;""",
}
TRIGGERS = st.builds(
    lambda name, when, each: (name, when, each),
    # triggers fire in the order of their names: before and after the schema's own
    st.sampled_from(["a_first", "z_last"]),
    st.sampled_from(
        [
            "AFTER INSERT",
            "AFTER UPDATE",
            "AFTER DELETE",
            "AFTER INSERT OR UPDATE OR DELETE",
            "BEFORE INSERT",
            "BEFORE UPDATE OR DELETE",
        ]
    ),
    st.sampled_from(["STATEMENT", "ROW"]),
)


# Merges that move trades are in test_a_users_trigger_beside_a_merge_that_moves.
@given(
    body=st.sampled_from(sorted(TRIGGER_BODIES)),
    trigger=TRIGGERS,
    history=histories(merge_moves=False),
)
def test_candles_follow_what_a_users_trigger_writes(
    trading: Connection,
    database: Database,
    body: str,
    trigger: tuple[str, str, str],
    history: list[Transaction],
) -> None:
    if database.engine != "postgresql":
        pytest.skip("whether a user may add triggers is the engine's affair")
    name, when, each = trigger
    empty(trading, database.engine)
    trading.execute(
        "CREATE OR REPLACE FUNCTION public.users_own() RETURNS trigger LANGUAGE plpgsql AS $$"
        f"BEGIN IF pg_trigger_depth() = 1 THEN {TRIGGER_BODIES[body]} END IF;"
        " RETURN CASE WHEN tg_op = 'DELETE' THEN old ELSE new END; END $$"
    )
    trading.execute(
        f"CREATE TRIGGER {name} {when} ON entasis.market_data"
        f" FOR EACH {each} EXECUTE FUNCTION public.users_own()"
    )
    try:
        for transaction in history:
            try:
                run(trading, transaction)
            # a row that a BEFORE trigger has changed cannot be changed by the statement as well
            except errors.TriggeredDataChangeViolation:
                event("the trigger was in the statement's way")
            oracle.assert_candles_are_right(trading)
    finally:
        trading.execute(f"DROP TRIGGER {name} ON entasis.market_data")


@pytest.mark.parametrize("on", ["DELETE", "INSERT"])
@pytest.mark.xfail(strict=True, reason="the nested UPDATE takes the notes of the one around it")
def test_a_users_trigger_beside_a_merge_that_moves(
    trading: Connection, database: Database, on: str
) -> None:
    """A row that goes to another partition fires these between its note and its move."""
    if database.engine != "postgresql":
        pytest.skip("whether a user may add triggers is the engine's affair")
    time = datetime(2025, 1, 1, tzinfo=UTC)
    insert(trading, trade(time, 2), trade(time, 3))
    trading.execute(
        "CREATE FUNCTION public.users_own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF pg_trigger_depth() = 1 THEN"
        " UPDATE entasis.market_data SET volume = volume + 1 WHERE id = 3; END IF;"
        " RETURN CASE WHEN tg_op = 'DELETE' THEN old ELSE new END; END $$"
    )
    trading.execute(
        f"CREATE TRIGGER users_own BEFORE {on} ON entasis.market_data"
        " FOR EACH ROW EXECUTE FUNCTION public.users_own()"
    )
    trading.execute(
        "MERGE INTO entasis.market_data AS t USING (VALUES (2)) AS s (id) ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET timestamp = t.timestamp + interval '31 days'"
    )
    oracle.assert_candles_are_right(
        trading,
        {
            ("BTC", "one", time + timedelta(days=31), 2): (Decimal(10), Decimal(1)),
            ("BTC", "one", time, 3): (Decimal(10), Decimal(2)),
        },
    )


# Borders


@pytest.mark.parametrize("zone", ZONES)
def test_a_trade_at_the_start_of_a_bucket_belongs_to_it(trading: Connection, zone: str) -> None:
    trading.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    levels = {
        "1m": (datetime(2025, 2, 3, 5, 34, tzinfo=UTC), datetime(2025, 2, 3, 5, 35, tzinfo=UTC)),
        "5m": (datetime(2025, 2, 3, 5, 30, tzinfo=UTC), datetime(2025, 2, 3, 5, 35, tzinfo=UTC)),
        "15m": (datetime(2025, 2, 3, 5, tzinfo=UTC), datetime(2025, 2, 3, 5, 15, tzinfo=UTC)),
        "30m": (datetime(2025, 2, 3, 5, tzinfo=UTC), datetime(2025, 2, 3, 5, 30, tzinfo=UTC)),
        "1h": (datetime(2025, 2, 3, 4, tzinfo=UTC), datetime(2025, 2, 3, 5, tzinfo=UTC)),
        "4h": (datetime(2025, 2, 3, 4, tzinfo=UTC), datetime(2025, 2, 3, 8, tzinfo=UTC)),
        "1d": (datetime(2025, 3, 8, tzinfo=UTC), datetime(2025, 3, 9, tzinfo=UTC)),
        "1w": (datetime(2025, 3, 24, tzinfo=UTC), datetime(2025, 3, 31, tzinfo=UTC)),
        "1mo": (datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)),
    }
    assert set(levels) == set(oracle.LEVELS)
    for start, end in levels.values():
        insert(trading, trade(start), trade(end - MICROSECOND, price="11"), trade(end, price="12"))
        oracle.refresh(trading)
        stored = oracle.stored_candles(trading)
        level = next(name for name, borders in levels.items() if borders == (start, end))
        before = stored[level]["BTC", "one", start]
        after = stored[level]["BTC", "one", end]
        assert (before.opened_at, before.closed_at) == (start, end - MICROSECOND)
        assert (before.open, before.close, before.trades) == (10, 11, 2)
        assert (after.opened_at, after.open, after.trades) == (end, 12, 1)
        # corrected trades at the border stay on their side of it
        trading.execute("UPDATE entasis.market_data SET volume = volume + 1")
        oracle.assert_candles_are_right(trading)
        trading.execute("DELETE FROM entasis.market_data WHERE timestamp = %s", [end])
        oracle.assert_candles_are_right(trading)
        trading.execute("DELETE FROM entasis.market_data")


def test_ties_are_broken_by_id_however_they_arrive(trading: Connection) -> None:
    time = datetime(2025, 2, 3, 5, 35, tzinfo=UTC)
    # neither the smallest nor the largest price is the first or last trade's
    rows = [trade(time, i, price) for i, price in ((-5, "12"), (9, "14"), (100, "11"))]
    extremes = [trade(time, 10, "1"), trade(time, 11, "99")]
    for batches in (
        [[*rows, *extremes]],
        [[*extremes, *reversed(rows)]],
        [[row] for row in [*extremes, rows[1], rows[2], rows[0]]],
        [[rows[2]], extremes, [rows[0], rows[1]]],
    ):
        for batch in batches:
            trading.execute(
                f"INSERT INTO entasis.market_data ({TRADE_COLUMNS}) {values(batch)}", flat(batch)
            )
        oracle.refresh(trading)
        for level in oracle.LEVELS:
            (candle,) = oracle.stored_candles(trading)[level].values()
            assert (candle.open, candle.first_trade_id) == (12, -5)
            assert (candle.close, candle.last_trade_id) == (11, 100)
            assert (candle.low, candle.high) == (1, 99)
        oracle.assert_candles_are_right(trading)
        # computed anew rather than merged
        trading.execute("UPDATE entasis.market_data SET volume = 2")
        oracle.assert_candles_are_right(trading)
        trading.execute("DELETE FROM entasis.market_data")
        oracle.assert_candles_are_right(trading, {})


def test_ids_and_sums_of_any_size_are_exact(trading: Connection) -> None:
    time = datetime(2025, 2, 3, 5, 35, tzinfo=UTC)
    insert(
        trading,
        trade(time, 2**63 - 1, "99999999999.999999999999", "999.999999999999"),
        trade(time, 2**63 - 2, "0.000000000001", "0.000000000001"),
        trade(time, -(2**63), "999999999999.999999999999", "99.999999999999"),
        trade(time + MICROSECOND, -(2**63), "123456789.123456789012", "0.000000000003"),
    )
    oracle.assert_candles_are_right(trading)
    trading.execute("UPDATE entasis.market_data SET volume = volume + 0.000000000001 WHERE id < 0")
    oracle.assert_candles_are_right(trading)


def test_the_columns_of_all_levels_are_the_same(trading: Connection) -> None:
    for level in oracle.LEVELS:
        columns = trading.execute(
            "SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a"
            " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
            [f"entasis.ohlcv_{level}"],
        ).fetchone()
        assert columns == (list(oracle.COLUMNS),)


# Who writes


def test_a_writer_needs_no_right_on_the_candles(trading: Connection, login: Login) -> None:
    time = datetime(2025, 2, 3, 5, 35, tzinfo=UTC)
    writer = login("entasis_writer")
    insert(writer, trade(time), trade(time, 2), trade(time + timedelta(minutes=1)))
    writer.execute("UPDATE entasis.market_data SET price = 12 WHERE id = 2")
    writer.execute("DELETE FROM entasis.market_data WHERE timestamp > %s", [time])
    oracle.assert_candles_are_right(
        trading,
        {
            ("BTC", "one", time, 1): (Decimal(10), Decimal(1)),
            ("BTC", "one", time, 2): (Decimal(12), Decimal(1)),
        },
    )
    for level in oracle.STORED:
        # an aggregate is a view that nobody writes to
        with pytest.raises((errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState)):
            writer.execute(f"DELETE FROM entasis.ohlcv_{level}")


def test_a_writer_cannot_go_past_the_triggers(
    trading: Connection, database: Database, login: Login
) -> None:
    if database.engine != "postgresql":
        pytest.skip("partitions of this kind belong to engine postgresql")
    insert(trading, trade(datetime(2025, 2, 3, 5, 35, tzinfo=UTC)))
    writer = login("entasis_writer")
    for statement in (
        "DELETE FROM entasis.market_data_y2025m02",
        "UPDATE entasis.market_data_y2025m02 SET price = 1",
        "INSERT INTO entasis.market_data_y2025m02 SELECT * FROM entasis.market_data",
        "TRUNCATE entasis.market_data_y2025m02",
        "SET session_replication_role = replica",
        "ALTER TABLE entasis.market_data DISABLE TRIGGER ALL",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            writer.execute(statement)
    oracle.assert_candles_are_right(trading)


def test_truncate_is_refused(trading: Connection) -> None:
    insert(trading, trade(datetime(2025, 2, 3, 5, 35, tzinfo=UTC)))
    for table in ("market_data", "option_data"):
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="TRUNCATE of entasis"):
            trading.execute(f"TRUNCATE entasis.{table}")
    assert len(oracle.stored_trades(trading)) == 1
    oracle.assert_candles_are_right(trading)


# check_candles and rebuild_candles: the tables of engine postgresql, damaged on purpose

DAY = datetime(2025, 2, 3, tzinfo=UTC)
HOUR = DAY + timedelta(hours=5)
MINUTE = HOUR + timedelta(minutes=35)
START = {"1m": MINUTE, "1h": HOUR, "1d": DAY}


@pytest.fixture
def damaged(trading: Connection, database: Database) -> Connection:
    """A database with trades in several months, whose candle tables the test may damage."""
    if database.engine != "postgresql":
        pytest.skip("candles are tables that one can damage on engine postgresql only")
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
        insert(
            trading,
            trade(time, number, str(10 + number), "2"),
            (number, "ETH", "two", time, Decimal(3), Decimal(1)),
        )
    oracle.assert_candles_are_right(trading)
    return trading


def problems(connection: Connection, *time_range: Any) -> set[tuple[str, str, datetime, str]]:
    marks = ", ".join(["%s::timestamptz"] * len(time_range))
    return {
        (relation, symbol, start.astimezone(UTC), problem)
        for relation, symbol, start, problem in connection.execute(
            f"SELECT relation, symbol, bucket, problem FROM entasis.check_candles({marks})",
            time_range,
        )
    }


def rebuild(connection: Connection, from_time: Any, to_time: Any) -> None:
    connection.execute("CALL entasis.rebuild_candles(%s, %s)", [from_time, to_time])


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


@pytest.mark.parametrize("level", oracle.STORED)
def test_every_damaged_candle_is_found_and_mended(damaged: Connection, level: str) -> None:
    table, start = f"entasis.ohlcv_{level}", START[level]
    key = ("BTC", "one", start)
    # a bucket of the same day that has no trade; of a day, none is left
    free = start - {"1m": timedelta(minutes=3), "1h": timedelta(hours=2)}.get(level, timedelta(0))
    damages = [
        ("missing", f"DELETE FROM {table} WHERE (symbol, exchange, bucket) = (%s, %s, %s)", key),
        *(
            (
                "different",
                f"UPDATE {table} SET {column} = {column} {change}"
                " WHERE (symbol, exchange, bucket) = (%s, %s, %s)",
                key,
            )
            for column in oracle.COLUMNS[3:]
            for change in (
                ["+ interval '1 microsecond'"] if column.endswith("_at") else ["+ 1", "* 2 - 1"]
            )
            # twice the trades less one is one where there is one, and so for ids
            if not (change == "* 2 - 1" and column in ("trades", "first_trade_id", "last_trade_id"))
        ),
        (
            "surplus",
            f"INSERT INTO {table} SELECT 'XRP', exchange, %s, {', '.join(oracle.COLUMNS[3:])}"
            f" FROM {table} WHERE (symbol, exchange, bucket) = (%s, %s, %s)",
            (free, *key),
        ),
    ]
    right, elsewhere = oracle.stored_candles(damaged), versions(damaged)
    for problem, statement, parameters in damages:
        assert damaged.execute(statement, parameters).rowcount == 1
        symbol, bucket = ("XRP", free) if problem == "surplus" else ("BTC", start)
        expected = (f"ohlcv_{level}", symbol, bucket, problem)
        assert expected in problems(damaged), statement
        assert problems(damaged) == problems(damaged, DAY, DAY + timedelta(days=1))
        # what lies below the damage is right, and so is the other market
        assert all(
            s == symbol
            and oracle.STORED.index(r.removeprefix("ohlcv_")) >= oracle.STORED.index(level)
            for r, s, *_ in problems(damaged)
        )
        rebuild(damaged, DAY, DAY + timedelta(days=1))
        assert problems(damaged) == set(), statement
        assert oracle.stored_candles(damaged) == right, statement
        assert versions(damaged) == elsewhere
    oracle.assert_candles_are_right(damaged)


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM entasis.market_data_y2025m02 WHERE symbol = 'BTC'"],
        ["UPDATE entasis.market_data_y2025m02 SET price = price + 1"],
        [
            "INSERT INTO entasis.market_data_y2025m02"
            " SELECT id + 100, symbol, exchange, timestamp + interval '1 hour', price, volume"
            " FROM entasis.market_data_y2025m02 WHERE timestamp < '2025-02-20'"
        ],
        ["TRUNCATE entasis.market_data_y2025m02"],
        ["TRUNCATE entasis.ohlcv_1m, entasis.ohlcv_1h, entasis.ohlcv_1d"],
        ["TRUNCATE entasis.ohlcv_1h"],
        [
            "SET session_replication_role = replica",
            "DELETE FROM entasis.market_data WHERE id % 2 = 0",
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, price, volume)"
            " VALUES ('NEW', 'one', '2025-02-03 05:35:00+00', 1, 1),"
            " ('NEW', 'one', '2025-03-31 23:59:59+00', 1, 1)",
            "RESET session_replication_role",
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
    damaged: Connection, statements: list[str]
) -> None:
    for statement in statements:
        damaged.execute(statement.encode())
    assert oracle.differences(damaged, oracle.stored_trades(damaged))
    assert problems(damaged)
    rebuild(damaged, datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 8, 1, tzinfo=UTC))
    oracle.assert_candles_are_right(damaged)


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


@given(from_time=moments, to_time=moments, zone=st.sampled_from(ZONES))
@example(from_time=DAY, to_time=DAY + timedelta(days=1), zone="America/New_York")
@example(from_time=DAY + timedelta(days=1), to_time=DAY + timedelta(days=2), zone="UTC")
@example(from_time=DAY + timedelta(days=1), to_time=DAY, zone="UTC")
def test_a_range_means_the_utc_days_that_it_touches(
    damaged: Connection, from_time: datetime, to_time: datetime, zone: str
) -> None:
    # within one day, see test_a_reversed_range_within_a_day_is_empty
    assume(from_time < to_time or from_time.date() != to_time.date())
    touches = from_time < to_time and from_time < DAY + timedelta(days=1) and to_time > DAY
    damaged.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    damaged.execute("UPDATE entasis.ohlcv_1m SET high = 1000 WHERE bucket = %s", [MINUTE])
    whole = problems(damaged)
    assert len(whole) == 4  # a minute and its hour, in two markets
    assert problems(damaged, from_time, to_time) == (whole if touches else set())
    rebuild(damaged, from_time, to_time)
    assert problems(damaged) == (set() if touches else whole)
    rebuild(damaged, DAY, DAY + MICROSECOND)
    oracle.assert_candles_are_right(damaged)


def test_a_reversed_range_within_a_day_is_empty(damaged: Connection) -> None:
    damaged.execute("DELETE FROM entasis.ohlcv_1m WHERE bucket = %s", [MINUTE])
    assert problems(damaged, HOUR + timedelta(hours=1), HOUR) == set()
    assert problems(damaged, HOUR, HOUR) == set()


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
        insert(damaged, *(trade(t, 50 + n) for n, t in enumerate(times)))
        oracle.assert_candles_are_right(damaged)
        damaged.execute("DELETE FROM entasis.ohlcv_1d WHERE bucket = %s", [day])
        damaged.execute("DELETE FROM entasis.ohlcv_1h WHERE bucket = %s", [border])
        assert problems(damaged)
        rebuild(damaged, day, day + timedelta(days=1))
        oracle.assert_candles_are_right(damaged)
        damaged.execute("UPDATE entasis.market_data SET volume = 7 WHERE id >= 50")
        oracle.assert_candles_are_right(damaged)


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
    insert(trading, trade(time))
    trading.execute("UPDATE entasis.market_data SET timestamp = timestamp + interval '1 minute'")
    trading.execute("DELETE FROM entasis.market_data")
    for level in oracle.STORED:
        (count,) = trading.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("entasis", f"ohlcv_{level}"))
        ).fetchone() or (None,)
        assert count == 0
