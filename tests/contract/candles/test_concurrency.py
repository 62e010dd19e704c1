"""Several writers at once: what is committed in the end has the candles that it should have.

A conflict may end in an error that says "try again" (40001, 40P01), never in a wrong candle.
"""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import IsolationLevel

from tests import oracle
from tests.contract.candles.sessions import AGAIN, Session, again
from tests.contract.candles.support import empty
from tests.db import Connection, count_within_timestamps
from tests.engines import Database, Prepare

pytestmark = [pytest.mark.several_connections, pytest.mark.newest_server]

LEVELS = (
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
)

MONTHS = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC))

HOUR = datetime(2025, 2, 28, 23, tzinfo=UTC)

INSERT = (
    "INSERT INTO entasis.market_data AS t (id, symbol, exchange, timestamp, price, volume)"
    " VALUES (%s, %s, 'one', %s, %s, %s)"
)


def make_months(connection: Connection) -> None:
    connection.execute("SELECT entasis.ensure_partitions('market_data', %s, %s)", MONTHS)


@pytest.fixture
def prepare() -> Prepare:
    """Partitions for the months of these tests."""
    return make_months


@pytest.fixture
def trading(connection: Connection) -> Connection:
    """A connection to a database in which deadlocks are found at once."""
    (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    connection.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'")
    return connection


# --- Interleavings, step by step -----------------------------------------------------------------

MINUTE = HOUR + timedelta(minutes=59)

NEXT = HOUR + timedelta(hours=1)  # of another hour, day and month

EARLIER = HOUR + timedelta(minutes=10)  # of the same hour

MORNING = HOUR - timedelta(hours=12)  # of the same day

BEFORE = HOUR - timedelta(hours=40)  # of another day, of the same week

S = timedelta(seconds=1)


@dataclass(frozen=True)
class Write:
    """A statement about one symbol, with a name for the report."""

    name: str
    query: str
    parameters: tuple[tuple[str, Any], ...] = ()

    def of(self, symbol: str) -> tuple[str, dict[str, Any]]:
        """Answer the statement and its parameters."""
        return self.query, {"symbol": symbol, **dict(self.parameters)}


def _insert(name: str, trade_id: int, when: datetime, price: int, conflict: str = "") -> Write:
    return Write(
        name,
        "INSERT INTO entasis.market_data AS t (id, symbol, exchange, timestamp, price, volume)"
        f" VALUES (%(id)s, %(symbol)s, 'one', %(when)s, %(price)s, 8) {conflict}",
        (("id", trade_id), ("when", when), ("price", price)),
    )


def _write(name: str, what: str, where: str, when: datetime | None = None) -> Write:
    return Write(name, f"{what} WHERE symbol = %(symbol)s AND {where}", (("when", when),))


_UPSERT = "ON CONFLICT (symbol, exchange, timestamp, id) DO UPDATE SET"

_DELETE = "DELETE FROM entasis.market_data"

_UPDATE = "UPDATE entasis.market_data SET"

_MOVE = f"{_UPDATE} timestamp = %(when)s"

# MINUTE has trades 1 and 2 to begin with, EARLIER has 3, BEFORE has 4, NEXT and MORNING none.
WRITES = (
    _insert("insert", 10, MINUTE, 7),
    _insert("insert-empty", 12, NEXT, 7),
    _insert("insert-earlier", 11, EARLIER + S * 60, 99),
    _insert("insert-morning", 13, MORNING, 7),
    _insert("upsert-1", 1, MINUTE, 20, f"{_UPSERT} price = excluded.price"),
    _write("delete-1", _DELETE, "id = 1"),
    _write("delete-minute", _DELETE, "timestamp >= %(when)s", MINUTE),
    _write("delete-day", _DELETE, "timestamp >= %(when)s", MORNING),
    _write("delete-all", _DELETE, "true"),
    _write("move-in", _MOVE, "id = 3", MINUTE + S),
    _write("move-in-from-before", _MOVE, "id = 4", MINUTE + 2 * S),
    _write("move-to-morning", _MOVE, "id = 3", MORNING + S),
    _write("move-out", _MOVE, "id = 1", EARLIER + S),
    _write("move-empty", _MOVE, "id = 2", NEXT + S),
)


def _start(connection: Connection, symbol: str = "BTC") -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            INSERT,
            [
                (1, symbol, MINUTE, 10, 1),
                (2, symbol, MINUTE + S * 30, 11, 2),
                (3, symbol, EARLIER, 12, 4),
                (4, symbol, BEFORE, 13, 16),
            ],
        )


ORDERS = (
    (IsolationLevel.READ_COMMITTED, "waits-for-commit"),
    (IsolationLevel.READ_COMMITTED, "waits-for-rollback"),
    (IsolationLevel.REPEATABLE_READ, "waits-for-commit"),
    (IsolationLevel.REPEATABLE_READ, "waits-for-rollback"),
    (IsolationLevel.REPEATABLE_READ, "old-snapshot"),
    (IsolationLevel.REPEATABLE_READ, "old-snapshot-waits"),
    (IsolationLevel.SERIALIZABLE, "waits-for-commit"),
    (IsolationLevel.SERIALIZABLE, "old-snapshot"),
)


def every_second(cases: dict[str, Any], shift: int) -> dict[str, Any]:
    """Half of the cases, for a short run: with the next shift it is the other half."""
    return dict(itertools.islice(cases.items(), shift % 2, None, 2))


@pytest.mark.parametrize(
    ("level", "order"),
    ORDERS,
    ids=lambda value: value if isinstance(value, str) else value.name.lower(),
)
@pytest.mark.long
def test_every_pair_of_writes(
    trading: Connection, database: Database, short: bool, level: IsolationLevel, order: str
) -> None:
    old_snapshot = order.startswith("old")
    # each pair has a symbol of its own, which the report of a wrong candle names
    pairs = {f"P{number}": pair for number, pair in enumerate(itertools.product(WRITES, repeat=2))}
    if short:
        pairs = every_second(pairs, ORDERS.index((level, order)))
    committed: Counter[bool] = Counter()
    # nobody reads trades for their ids, and only candles make serializable writes fail
    count_within_timestamps(trading, *((symbol, "one") for symbol in pairs))
    with Session(database, trading) as one, Session(database, trading) as two:
        for symbol, (first, second) in pairs.items():
            _start(trading, symbol)
            one.begin(level)
            two.begin(level)
            if old_snapshot:
                two.snapshot()
            assert not one.start(*first.of(symbol))
            if order == "old-snapshot":
                assert one.end()
            two.start(*second.of(symbol))
            one.end(commit=order != "waits-for-rollback")
            committed[two.end()] += 1
    oracle.refresh(trading)
    wrong = oracle.differences(trading, oracle.stored_trades(trading))
    assert not wrong, [(d, *(w.name for w in pairs[d.key[0]])) for d in wrong]
    oracle.assert_candles_are_right(trading)
    if level is IsolationLevel.READ_COMMITTED or order == "waits-for-rollback":
        # two inserts of one trade are the only conflict
        assert committed[False] <= 10, committed
    else:
        # ten of the 196, in proportion
        assert committed[True] * 20 > len(pairs), committed


# A write that is held up between two of its statements: the tables of engine postgresql get
# triggers for it, which wait for an advisory lock that the test holds.

PAUSES = (
    ("INSERT", "1m"),
    ("INSERT", "1h"),
    ("INSERT", "1d"),
    ("UPDATE", "1m"),
    ("UPDATE", "1h"),
    ("UPDATE", "1d"),
    ("DELETE", "1m"),
)

PAUSED = ("insert", "delete-1", "delete-day", "move-in")

BESIDE = (
    "insert",
    "insert-earlier",
    "insert-morning",
    "upsert-1",
    "delete-minute",
    "move-in-from-before",
    "move-out",
)


def _pausable(connection: Connection) -> None:
    connection.execute(
        "CREATE FUNCTION public.pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF current_setting('test.pause', true) = format('%s %s', tg_op, tg_argv[0]) THEN"
        " PERFORM pg_advisory_xact_lock_shared(1); END IF;"
        " RETURN CASE WHEN tg_op = 'DELETE' THEN old ELSE new END; END $$"
    )
    for candles in oracle.STORED:
        connection.execute(
            f"CREATE TRIGGER pause BEFORE INSERT OR UPDATE OR DELETE ON entasis.ohlcv_{candles}"
            f" FOR EACH ROW EXECUTE FUNCTION public.pause('{candles}')"
        )


@pytest.mark.candle_tables
@pytest.mark.user_triggers
@pytest.mark.parametrize("level", LEVELS[:2], ids=lambda level: level.name.lower())
@pytest.mark.long
def test_every_write_beside_a_paused_one(
    trading: Connection, database: Database, short: bool, level: IsolationLevel
) -> None:
    _pausable(trading)
    first = [write for write in WRITES if write.name in PAUSED]
    second = [write for write in WRITES if write.name in BESIDE]
    cases = {
        f"P{number}": case
        for number, case in enumerate(itertools.product(PAUSES, first, second, [True, False]))
    }
    if short:
        cases = every_second(cases, LEVELS.index(level))
    paused: Counter[tuple[str, str]] = Counter()
    with Session(database, trading) as one, Session(database, trading) as two:
        for symbol, (pause, first_write, second_write, commits_at_once) in cases.items():
            _start(trading, symbol)
            trading.execute("SELECT pg_advisory_lock(1)")
            one.begin(level)
            two.begin(level)
            one.connection.execute("SELECT set_config('test.pause', %s, true)", [" ".join(pause)])
            if one.start(*first_write.of(symbol)):
                paused[pause] += 1
                # while the first one is paused, or so that the first one has to wait for it
                if not two.start(*second_write.of(symbol)) and commits_at_once:
                    two.end()
            trading.execute("SELECT pg_advisory_unlock(1)")
            if one.waits():
                two.end()
            one.end()
            two.end()
    wrong = oracle.differences(trading, oracle.stored_trades(trading))
    assert not wrong, [(d, cases[d.key[0]]) for d in wrong]
    oracle.assert_candles_are_right(trading)
    assert set(paused) == set(PAUSES)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_insert_into_an_empty_minute_beside_its_recompute(
    trading: Connection, database: Database, level: IsolationLevel
) -> None:
    # where the writer keeps the candles, the second one waits for the first one's
    waits = database.can("candle_tables")
    for mover_first in (True, False):
        empty(trading, database)
        _start(trading)
        with Session(database, trading) as mover, Session(database, trading) as inserter:
            mover.begin(level)
            inserter.begin(level)
            move = "UPDATE entasis.market_data SET timestamp = %s WHERE id = 3"
            if mover_first:
                assert not mover.start(move, [NEXT + S])
                assert inserter.start(INSERT, [20, "BTC", NEXT, 7, 7]) == waits
                assert mover.end()
                inserted = inserter.end()
            else:
                assert not inserter.start(INSERT, [20, "BTC", NEXT, 7, 7])
                assert mover.start(move, [NEXT + S]) == waits
                assert inserter.end()
                inserted = mover.end()
        oracle.assert_candles_are_right(trading)
        assert inserted == (level is IsolationLevel.READ_COMMITTED or not waits)
        if inserted:
            candle = oracle.stored_candles(trading)["1m"]["BTC", "one", NEXT]
            assert (candle.trades, candle.volume) == (2, 11)


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "rollback"])
@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_delete_of_the_last_trade_beside_an_insert(
    trading: Connection, database: Database, level: IsolationLevel, commit: bool
) -> None:
    delete = "DELETE FROM entasis.market_data WHERE timestamp >= %s"
    waits = database.can("candle_tables")
    for deleter_first in (True, False):
        empty(trading, database)
        _start(trading)
        with Session(database, trading) as deleter, Session(database, trading) as inserter:
            deleter.begin(level)
            inserter.begin(level)
            if deleter_first:
                assert not deleter.start(delete, [MINUTE])
                assert inserter.start(INSERT, [20, "BTC", MINUTE, 7, 7]) == waits
                assert deleter.end(commit=commit) == commit
                inserter.end()
            else:
                assert not inserter.start(INSERT, [20, "BTC", MINUTE, 7, 7])
                assert deleter.start(delete, [MINUTE]) == waits
                assert inserter.end(commit=commit) == commit
                deleter.end()
        oracle.assert_candles_are_right(trading)


@pytest.mark.parametrize("level", LEVELS[1:], ids=lambda level: level.name.lower())
@pytest.mark.parametrize("write", ["move", "insert", "update", "insert-then-update", "upsert"])
def test_a_candle_gone_since_the_snapshot(
    trading: Connection, database: Database, level: IsolationLevel, write: str
) -> None:
    upsert = " ON CONFLICT (symbol, exchange, timestamp, id) DO UPDATE SET price = 50"
    statements: dict[str, list[tuple[str, list[Any]]]] = {
        "move": [("UPDATE entasis.market_data SET timestamp = %s WHERE id = 4", [MINUTE + S])],
        "insert": [(INSERT, [20, "BTC", MINUTE + S, 7, 7])],
        "update": [("UPDATE entasis.market_data SET price = 9 WHERE id IN (2, 4)", [])],
        "insert-then-update": [
            (INSERT, [20, "BTC", MINUTE + S, 7, 7]),
            ("UPDATE entasis.market_data SET price = 9 WHERE id = 20", []),
        ],
        "upsert": [(INSERT + upsert, [1, "BTC", MINUTE, 7, 7])],
    }
    # the minute empties, or its day as well
    for gone in ("id IN (1, 2)", "id IN (1, 2, 3)"):
        empty(trading, database)
        _start(trading)
        with Session(database, trading) as writer:
            writer.begin(level)
            writer.snapshot()
            trading.execute(f"DELETE FROM entasis.market_data WHERE {gone}")
            for query, parameters in statements[write]:
                if not writer.failed:
                    assert not writer.start(query, parameters)
            committed = writer.end()
        oracle.assert_candles_are_right(trading)
        # an insert merges into whatever is there: it need not fail where nothing is left
        if write == "move" and database.can("move_across_partitions"):
            assert not committed


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_moves_in_opposite_directions(
    trading: Connection, database: Database, level: IsolationLevel
) -> None:
    move = "UPDATE entasis.market_data SET timestamp = %s WHERE id = %s"
    empty(trading, database)
    _start(trading)
    with Session(database, trading) as one, Session(database, trading) as two:
        one.begin(level)
        two.begin(level)
        # the second statement of each needs what the first one of the other holds
        assert not one.start(move, [EARLIER + S, 1])
        two.start(move, [MINUTE + S, 3])
        one.start(move, [EARLIER + 2 * S, 2])
        if not two.waits() and not two.failed:
            two.start(move, [MINUTE + 2 * S, 3])
        outcomes = [one.end(), two.end()]
    oracle.assert_candles_are_right(trading)
    assert any(outcomes)


# Any interleaving. A session whose statement waits takes its next step when it has gone on.

SCHEDULES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.one_of(st.sampled_from(WRITES), st.sampled_from(["commit", "commit", "rollback"])),
    ),
    min_size=2,
    max_size=14,
)


@given(
    levels=st.lists(st.sampled_from(LEVELS), min_size=3, max_size=3),
    snapshots=st.lists(st.booleans(), min_size=3, max_size=3),
    schedule=SCHEDULES,
)
def test_any_interleaving(
    trading: Connection,
    database: Database,
    levels: list[IsolationLevel],
    snapshots: list[bool],
    schedule: list[tuple[int, Write | str]],
) -> None:
    empty(trading, database)
    _start(trading)
    with ExitStack() as stack:
        sessions = [stack.enter_context(Session(database, trading)) for _ in levels]
        for session, level, snapshot in zip(sessions, levels, snapshots, strict=True):
            session.begin(level)
            if snapshot:
                session.snapshot()
        for number, step in schedule:
            session = sessions[number]
            if session.waits():
                continue
            if isinstance(step, str):
                session.end(commit=step == "commit")
                session.begin(levels[number])
            elif not session.failed:
                session.start(*step.of("BTC"))
        # those that hold the locks first
        left = list(sessions)
        while left:
            free = [s for s in left if not s.waits()]
            assert free, "all wait for each other"
            for session in free:
                session.end()
                left.remove(session)
    oracle.assert_candles_are_right(trading)


# --- Threads -------------------------------------------------------------------------------------


@dataclass
class Tally:
    committed: int = 0
    retried: int = 0


@contextmanager
def _joined(threads: list[threading.Thread]) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads), "a thread hangs"


def _work(
    database: Database,
    level: IsolationLevel,
    seed: str,
    symbols: Sequence[str],
    transactions: int,
    tally: Tally,
    failures: list[BaseException],
) -> None:
    """Write at random, each transaction until it succeeds."""
    chance = random.Random(seed)
    # 40 microseconds to 40 minutes around the end of an hour, day and month
    offsets = [timedelta(microseconds=40 * 60**n) for n in (0, 3, 4, 5)]
    times = [NEXT + sign * offset for offset in offsets for sign in (-1, 0, 1)]
    try:
        with database.connect(autocommit=False) as connection:
            connection.isolation_level = level
            for _ in range(transactions):
                statements = [_random(chance, symbols, times) for _ in range(chance.randint(1, 2))]
                for _attempt in range(300):
                    try:
                        for query, rows in statements:
                            for row in rows:
                                connection.execute(query, row)
                        with again():
                            connection.commit()
                    except AGAIN:
                        connection.rollback()
                        tally.retried += 1
                        time.sleep(chance.random() * 0.01)
                    else:
                        tally.committed += 1
                        break
                else:
                    pytest.fail("a transaction never succeeded")
    except BaseException as error:  # noqa: BLE001 - the main thread raises it
        failures.append(error)


def _random(
    chance: random.Random, symbols: Sequence[str], times: Sequence[datetime]
) -> tuple[str, list[tuple[Any, ...]]]:
    symbol, when, trade_id = chance.choice(symbols), chance.choice(times), chance.randint(1, 6)
    moments = [chance.randrange(len(times)) for _ in range(chance.randint(1, 4))]
    # No price is that of two moments: one id with one price at 0 and at 40 microseconds is told
    # twice, and refused.
    rows = sorted(
        (chance.randint(1, 6), symbol, times[n], chance.randint(1, 99) + Decimal(n) / 100, 1)
        for n in moments
    )
    kind = chance.randrange(8)
    if kind <= 1:
        return INSERT + " ON CONFLICT DO NOTHING", [rows[0]]
    if kind == 2:
        many = {row[:3]: row for row in rows}.values()
        values = ", ".join(["(%s, %s, 'one', %s::timestamptz, %s, %s)"] * len(many))
        query = INSERT.partition("VALUES")[0] + f"VALUES {values} ON CONFLICT DO NOTHING"
        return query, [tuple(value for row in many for value in row)]
    if kind == 3:
        how = "DO UPDATE SET price = excluded.price, volume = t.volume + 1"
        return f"{INSERT} ON CONFLICT (symbol, exchange, timestamp, id) {how}", [rows[0]]
    if kind == 4:
        return "DELETE FROM entasis.market_data WHERE symbol = %s AND id = %s", [(symbol, trade_id)]
    if kind == 5:
        return (
            "DELETE FROM entasis.market_data WHERE symbol = %s AND timestamp >= %s",
            [(symbol, when)],
        )
    if kind == 6:
        return (
            "UPDATE entasis.market_data SET price = price + 1 WHERE symbol = %s AND timestamp = %s",
            [(symbol, when)],
        )
    # to a time that nobody else writes to, so that keys do not collide
    return (
        "UPDATE entasis.market_data SET timestamp = (timestamp AT TIME ZONE 'UTC'"
        " + interval '1 minute' * %s + interval '1 microsecond' * id) AT TIME ZONE 'UTC',"
        " id = id + %s WHERE symbol = %s AND id = %s",
        [(chance.randint(1, 3), 1000 + chance.getrandbits(40), symbol, trade_id)],
    )


@pytest.mark.parametrize("markets", ["same", pytest.param("different", marks=pytest.mark.long)])
@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_writers_at_once(
    trading: Connection, database: Database, level: IsolationLevel, markets: str
) -> None:
    writers, transactions = 4, 30
    tally, failures = Tally(), list[BaseException]()
    threads = [
        threading.Thread(
            target=_work,
            args=(
                database,
                level,
                f"{level.name} {markets} {number}",
                ["BTC", "ETH"] if markets == "same" else [f"S{number}"],
                transactions,
                tally,
                failures,
            ),
        )
        for number in range(writers)
    ]
    with _joined(threads):
        pass
    for failure in failures:
        raise failure
    assert tally.committed == writers * transactions
    oracle.assert_candles_are_right(trading)


@pytest.mark.candle_tables
@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name.lower())
def test_rebuild_beside_writers(
    trading: Connection, database: Database, level: IsolationLevel
) -> None:
    tally, failures = Tally(), list[BaseException]()
    threads = [
        threading.Thread(
            target=_work,
            args=(database, level, f"rebuild {number}", ["BTC"], 30, tally, failures),
        )
        for number in range(2)
    ]
    rebuilt = 0
    with _joined(threads), database.connect() as rebuilder:
        while any(thread.is_alive() for thread in threads):
            damaged = False
            while True:
                try:
                    if not damaged:
                        rebuilder.execute("UPDATE entasis.ohlcv_1h SET volume = volume + 1")
                        damaged = True
                    rebuilder.execute(
                        "CALL entasis.rebuild_candles(%s, %s)",
                        [NEXT - timedelta(days=1), NEXT + timedelta(days=1)],
                    )
                    break
                except AGAIN:
                    continue
            rebuilt += 1
    for failure in failures:
        raise failure
    assert rebuilt
    assert tally.committed == 60
    oracle.assert_candles_are_right(trading)


@pytest.mark.candle_tables
@pytest.mark.parametrize(
    "commit", [True, pytest.param(False, marks=pytest.mark.long)], ids=["commit", "rollback"]
)
def test_rebuild_waits_for_writers_of_the_same_candle(
    trading: Connection, database: Database, commit: bool
) -> None:
    call = f"CALL entasis.rebuild_candles('{BEFORE}', '{NEXT + timedelta(hours=1)}')"
    for write in WRITES:
        empty(trading, database)
        _start(trading)
        trading.execute("UPDATE entasis.ohlcv_1m SET high = high + 1, volume = volume + 1")
        trading.execute("UPDATE entasis.ohlcv_1h SET low = 1")
        with Session(database, trading) as writer, Session(database, trading) as rebuilder:
            rebuilder.connection.autocommit = True
            writer.begin(IsolationLevel.READ_COMMITTED)
            assert not writer.start(*write.of("BTC"))
            rebuilder.start(call)
            writer.end(commit=commit)
            rebuilder.finish()
            assert not rebuilder.failed
        oracle.assert_candles_are_right(trading)
