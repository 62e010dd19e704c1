"""Reads over real streaming replicas: where each one goes, and that none is older than asked."""

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple

import psycopg
import pytest

from entasis_db import queries
from entasis_db.errors import NoServerError, SessionError, StaleReadError
from entasis_db.queries.statement import Statement
from entasis_db.replicas import AsyncReplicas, Position, Replicas
from tests.db import ensure
from tests.make import NOON, insert_trades, trade
from tests.replicas.rig import Servers, until

pytestmark = [pytest.mark.own_cluster, pytest.mark.standby, pytest.mark.newest_server_when_short]

SOON = timedelta(milliseconds=300)


class Number(NamedTuple):
    n: int


LAST: Statement[Number] = Statement(
    "last", "SELECT COALESCE(max(w.n), 0) AS n FROM public.numbers AS w", {}, Number
)


@pytest.fixture
def numbers(trio: Servers) -> Servers:
    trio.do(trio.primary, "DROP TABLE IF EXISTS public.numbers")
    trio.do(trio.primary, "CREATE TABLE public.numbers (n int PRIMARY KEY)")
    trio.caught_up()
    return trio


@contextmanager
def opened(trio: Servers, **options: Any) -> Iterator[Replicas]:
    given = {"patience": timedelta(milliseconds=100), "server_timeout": SOON, **options}
    with Replicas(trio.url(), **given) as replicas:
        yield replicas


def reads(trio: Servers, replicas: Any) -> dict[str, int]:
    """How many reads each server has answered."""
    return {trio.name_of(one.name): one.reads for one in replicas.metrics()}


@contextmanager
def going(trio: Servers, replicas: Any) -> Iterator[dict[str, int]]:
    """Count the reads in a block by who answered them."""
    before, found = reads(trio, replicas), {}
    yield found
    after = reads(trio, replicas)
    found.update({name: after[name] - before[name] for name in after})


class Writing:
    """A client that writes ascending numbers, and knows when each was committed."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._numbers = count(1)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: list[tuple[float, int]] = [(0.0, 0)]

    def write(self) -> Position:
        with self._replicas.primary() as connection:
            number = next(self._numbers)
            connection.execute("INSERT INTO public.numbers VALUES (%s)", [number])
            self.acknowledged.append((time.monotonic(), number))
            return self._replicas.written(connection)

    def known(self, moment: float) -> int:
        """The last number that was committed by then."""
        return max(n for at, n in list(self.acknowledged) if at <= moment)

    def _run(self) -> None:
        while not self._ended.wait(0.003):
            self.write()

    def __enter__(self) -> "Writing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def check_reads(replicas: Replicas, writing: Writing, max_lag: timedelta, number: int) -> None:
    """Read so often, and see that nothing is missing that had to be seen."""
    reading = replicas.reading(max_lag)
    for _ in range(number):
        oldest = writing.known(time.monotonic() - max_lag.total_seconds())
        (found,) = LAST.fetch(reading)
        assert found.n >= oldest
        time.sleep(0.002)


def test_reads_take_turns_and_everything_is_the_same_as_on_a_connection(trio: Servers) -> None:
    with trio.connect(trio.primary) as connection:
        ensure(connection, "market_data", NOON, NOON + timedelta(hours=1))
        insert_trades(connection, *map(trade, range(50)))
        trio.caught_up()
        statement = queries.trades("BTC", "x", NOON, NOON + timedelta(hours=1))
        with opened(trio) as replicas, going(trio, replicas) as went:
            assert statement.fetch(replicas) == statement.fetch(connection)
            assert statement.one(replicas) == statement.one(connection)
            assert statement.arrow(replicas) == statement.arrow(connection)
            batches = list(statement.record_batches(replicas, floats=True))
            assert batches == list(statement.record_batches(connection, floats=True))
            assert statement.polars(replicas).equals(statement.polars(connection))
            assert statement.pandas(replicas).equals(statement.pandas(connection))
        first, second = trio.replicas
        assert went == {trio.primary: 0, first: 3, second: 3}
        expected = statement.fetch(connection)
        assert asyncio.run(_all_async(trio, statement)) == [expected, expected[0], len(expected)]


async def _all_async(trio: Servers, statement: Statement[Any]) -> list[Any]:
    async with AsyncReplicas(trio.url()) as replicas:
        with going(trio, replicas) as went:
            rows = await statement.fetch_async(replicas)
            one = await statement.one_async(replicas)
            table = await statement.arrow_async(replicas)
            assert table == (await statement.polars_async(replicas)).to_arrow().cast(table.schema)
            assert len(await statement.pandas_async(replicas)) == table.num_rows
            found = [batch async for batch in statement.record_batches_async(replicas)]
            assert sum(batch.num_rows for batch in found) == table.num_rows
        assert went == {trio.primary: 0, **dict.fromkeys(trio.replicas, 3)}
        return [rows, one, table.num_rows]


def test_no_read_is_older_than_asked_while_replicas_fall_behind(numbers: Servers) -> None:
    trio, (first, second) = numbers, numbers.replicas
    with opened(trio) as replicas, Writing(replicas) as writing:
        writing.write()
        with going(trio, replicas) as went:
            check_reads(replicas, writing, SOON, 30)
        assert went[trio.primary] == 0
        # one that is told to lag
        trio.set(second, "recovery_min_apply_delay", "2s")
        time.sleep(0.6)
        with going(trio, replicas) as went:
            check_reads(replicas, writing, SOON, 20)
        assert went == {trio.primary: 0, first: 20, second: 0}
        with going(trio, replicas) as went:
            check_reads(replicas, writing, timedelta(seconds=10), 20)
        assert went == {trio.primary: 0, first: 10, second: 10}
        # and one whose replay somebody has paused
        trio.do(first, "SELECT pg_wal_replay_pause()")
        time.sleep(0.6)
        with going(trio, replicas) as went:
            check_reads(replicas, writing, SOON, 10)
        assert went == {trio.primary: 10, first: 0, second: 0}
        trio.do(first, "SELECT pg_wal_replay_resume()")
        trio.set(second, "recovery_min_apply_delay", "0")
        until(lambda: _back(trio, replicas, writing, first, second))


def _back(trio: Servers, replicas: Replicas, writing: Writing, *names: str) -> bool:
    with going(trio, replicas) as went:
        check_reads(replicas, writing, SOON, 6)
    return all(went[name] for name in names)


def test_one_that_is_cut_off_answers_as_long_as_it_misses_nothing(numbers: Servers) -> None:
    trio, (first, second) = numbers, numbers.replicas
    with opened(trio) as replicas:
        writing = Writing(replicas)
        token = writing.write()
        trio.caught_up()
        trio.cut_off(first)
        # nothing is written: its last message and its last transaction grow old, its rows do not
        time.sleep(0.5)
        with going(trio, replicas) as went:
            check_reads(replicas, writing, SOON, 10)
            assert LAST.fetch(replicas.reading(after=token)) == [Number(1)]
        assert went[trio.primary] == 0
        assert went[first] > 3
        # it has replayed all that it has received, and yet it misses a row
        token = writing.write()
        with trio.connect(first) as connection:
            received = "SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"
            assert connection.execute(received.encode()).fetchone() == (True,)
        time.sleep(0.4)
        with going(trio, replicas) as went:
            check_reads(replicas, writing, SOON, 10)
            for _ in range(4):
                assert LAST.fetch(replicas.reading(after=token)) == [Number(2)]
        assert went == {trio.primary: 0, first: 0, second: 14}
        assert {m.late for m in replicas.metrics() if trio.name_of(m.name) == first} != {0}
        with going(trio, replicas) as went:
            assert {LAST.fetch(replicas)[0].n for _ in range(2)} == {1, 2}
        # and when the others are gone
        trio[trio.primary].kill()
        trio[second].kill()
        with pytest.raises(StaleReadError, match="no replica is known to be as current"):
            LAST.fetch(replicas.reading(after=token))
        time.sleep(SOON.total_seconds())
        with pytest.raises(StaleReadError) as caught:
            LAST.fetch(replicas.reading(SOON))
        assert trio.rig.password not in str(caught.value)
        assert "\n" not in str(caught.value)
        assert LAST.fetch(replicas) == [Number(1)]
        trio[trio.primary].start()
        trio[second].start()
        trio.mend(first)


def test_one_sees_what_one_wrote(numbers: Servers) -> None:
    trio, (first, second) = numbers, numbers.replicas
    trio.set(first, "recovery_min_apply_delay", "1min")
    with opened(trio, patience=timedelta(seconds=5)) as replicas:
        writing = Writing(replicas)
        writing.write()
        with going(trio, replicas) as went:
            for number in range(2, 12):
                token = writing.write()
                assert LAST.fetch(replicas.reading(after=token)) == [Number(number)]
        assert went == {trio.primary: 0, first: 0, second: 10}
        # an idle server that has just changed its segment has nothing more to send
        trio.do(trio.primary, "SELECT pg_switch_wal()")
        trio.caught_up(second)
        with replicas.primary() as connection:
            token = replicas.written(connection)
        with going(trio, replicas) as went:
            LAST.fetch(replicas.reading(after=Position.parse(str(token))))
        assert went[second] == 1
    with opened(trio) as replicas:
        trio.do(second, "SELECT pg_wal_replay_pause()")
        token = Writing(replicas)
        with replicas.primary() as connection:
            connection.execute("INSERT INTO public.numbers VALUES (1000)")
            token = replicas.written(connection)
            with connection.transaction(), pytest.raises(SessionError, match="has ended"):
                replicas.written(connection)
        with going(trio, replicas) as went:
            assert LAST.fetch(replicas.reading(after=token)) == [Number(1000)]
        assert went == {trio.primary: 1, first: 0, second: 0}
        with (
            replicas.reading().connection() as connection,
            pytest.raises(SessionError, match="this one is a replica"),
        ):
            replicas.written(connection)
        trio.do(second, "SELECT pg_wal_replay_resume()")
    asyncio.run(_own_writes_async(trio))


async def _own_writes_async(trio: Servers) -> None:
    async with AsyncReplicas(trio.url(), patience=timedelta(seconds=2)) as replicas:
        with going(trio, replicas) as went:
            for number in range(1001, 1011):
                async with replicas.primary() as connection:
                    await connection.execute("INSERT INTO public.numbers VALUES (%s)", [number])
                    token = await replicas.written(connection)
                assert await LAST.fetch_async(replicas.reading(after=token)) == [Number(number)]
                reading = replicas.reading(timedelta(0))
                assert (await LAST.fetch_async(reading))[0].n == number
        assert went[trio.primary] == 0
        assert sum(went.values()) == 20


def test_one_that_dies_is_left_out_and_comes_back(
    numbers: Servers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("entasis_db.breaker.FIRST_PAUSE", 0.1)
    monkeypatch.setattr("entasis_db.breaker.LONGEST_PAUSE", 0.2)
    caplog.set_level(logging.INFO)
    trio, (first, second) = numbers, numbers.replicas
    with opened(trio) as replicas, Writing(replicas) as writing:
        writing.write()
        check_reads(replicas, writing, SOON, 4)
        trio[first].kill()
        with going(trio, replicas) as went:
            check_reads(replicas, writing, SOON, 10)
        assert went == {trio.primary: 0, first: 0, second: 10}
        # the other one hangs: connections stay, and nothing is answered
        trio.signal(second, signal.SIGSTOP)
        began = time.monotonic()
        with going(trio, replicas) as went:
            check_reads(replicas, writing, SOON, 5)
        assert went == {trio.primary: 5, first: 0, second: 0}
        assert time.monotonic() - began < 5
        trio.signal(second, signal.SIGCONT)
        trio[first].start()
        until(lambda: _back(trio, replicas, writing, first, second))
        assert not any(server.left_out for server in replicas.metrics())
    assert "is left out" in caplog.text
    assert "answers again" in caplog.text
    assert trio.rig.password not in caplog.text


SLOW = """
    SELECT q.n FROM (
        SELECT n, pg_sleep(CASE WHEN n > 9400 THEN 0.001 ELSE 0 END) FROM public.numbers OFFSET 0
    ) AS q ORDER BY q.n
"""


def test_a_conflict_with_recovery_is_answered_elsewhere(
    numbers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entasis_db.breaker.FIRST_PAUSE", 0.1)
    trio = numbers
    trio.do(trio.primary, "INSERT INTO public.numbers SELECT generate_series(1, 10000)")
    trio.caught_up()
    slow: Statement[Number] = Statement("slow", SLOW, {}, Number)
    with opened(trio) as replicas:

        def disturb(reading: Callable[[], Any]) -> Any:
            """Have both replicas remove what a read needs, a moment after it has begun."""
            dropping = threading.Timer(0.15, trio.do, [trio.primary, "VACUUM FULL public.numbers"])
            dropping.start()
            try:
                return reading()
            finally:
                dropping.join()

        LAST.fetch(replicas)
        with going(trio, replicas) as went:
            assert len(disturb(lambda: slow.fetch(replicas))) == 10000
        assert sum(went.values()) == 1
        assert sum(server.failures for server in replicas.metrics()) >= 1
        until(lambda: not any(server.left_out for server in replicas.metrics()))
        with going(trio, replicas) as went:
            assert disturb(lambda: slow.arrow(replicas)).num_rows == 10000
        assert sum(went.values()) == 1
        assert asyncio.run(_conflict_async(trio, slow)) == 10000

        until(lambda: not any(server.left_out for server in replicas.metrics()))
        endless: Statement[Number] = Statement("endless", _ENDLESS, {}, Number)

        with going(trio, replicas) as went, pytest.raises(psycopg.Error) as caught:
            batches = endless.record_batches(replicas)
            assert next(batches).num_rows
            trio.do(trio.primary, "VACUUM FULL public.numbers")
            for _ in batches:
                pass
        assert caught.value.sqlstate == "40001"
        assert "a part of the answer was given" in caught.value.__notes__[0]
        assert sum(went.values()) == 0


_ENDLESS = """
    SELECT a.n
    FROM public.numbers AS a, public.numbers AS b
"""


async def _conflict_async(
    trio: Servers,
    slow: Statement[Number],
) -> int:
    async with AsyncReplicas(trio.url()) as replicas:
        await LAST.fetch_async(replicas)
        vacuum = threading.Timer(0.15, trio.do, [trio.primary, "VACUUM FULL public.numbers"])
        vacuum.start()
        rows = [b async for b in slow.record_batches_async(replicas)]
        vacuum.join()
        assert sum(server.failures for server in replicas.metrics()) >= 1
        assert sum(server.reads for server in replicas.metrics()) == 2
        return sum(batch.num_rows for batch in rows)


def test_nobody_answers(made: Servers) -> None:
    url = f"postgresql://x:{made.rig.password}@127.0.0.1:1,127.0.0.1:2/entasis"
    with Replicas(url) as replicas:
        for ask in (lambda: LAST.fetch(replicas), lambda: LAST.fetch(replicas.reading(SOON))):
            with pytest.raises(NoServerError, match="no server answers: 127") as caught:
                ask()
            assert made.rig.password not in str(caught.value)
            assert isinstance(caught.value, psycopg.OperationalError)
        with pytest.raises(NoServerError, match="no server takes writes"), replicas.primary():
            pass
