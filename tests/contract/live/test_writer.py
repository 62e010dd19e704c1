"""The live writer: whatever breaks, every accepted trade is stored once or handed back."""

import asyncio
import logging
import os
import random
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from entasis_db.embedded import Cluster
from entasis_db.errors import IdSpaceError, NotWrittenError, WriterError
from entasis_db.live import AsyncTickWriter, TickWriter, Unreadable, WriterMetrics, opening
from entasis_db.migrate import migrate
from entasis_db.model import OptionQuote, Trade
from tests import oracle
from tests.contract.trades.support import by_key, quarantined
from tests.db import wipe
from tests.engines import Database, Source
from tests.make import NOON, D, quote, trade
from tests.proxy import proxied

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]

SECOND = timedelta(seconds=1)
Put = Callable[[Trade | OptionQuote], None]


def writer(dsn: str, **options: Any) -> TickWriter:
    return TickWriter(dsn, **{"source": "feed", "id_space": "trade", **options})


def stream(number: int, chance: random.Random | None = None) -> list[Trade]:
    chance = chance or random.Random(1)
    return [
        trade(
            n,
            symbol=chance.choice("AB"),
            timestamp=NOON + timedelta(seconds=n // 7),
            price=Decimal(chance.randrange(1, 10**6)).scaleb(-3),
        )
        for n in range(number)
    ]


def added_up(metrics: WriterMetrics) -> int:
    return metrics.written + metrics.already_there + metrics.quarantined


def run_sync(dsn: str, rows: Sequence[Trade | OptionQuote], **options: Any) -> WriterMetrics:
    with writer(dsn, **options) as w:
        for row in rows:
            w.put(row)
    return w.metrics()


def run_async(dsn: str, rows: Sequence[Trade | OptionQuote], **options: Any) -> WriterMetrics:
    async def run() -> WriterMetrics:
        options_ = {"source": "feed", "id_space": "trade", **options}
        async with AsyncTickWriter(dsn, **options_) as w:
            for row in rows:
                await w.put(row)
        return w.metrics()

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])
Run = Callable[..., WriterMetrics]


@BOTH
@example(numbers=list(range(30)), bad={25}, batch_rows=10, max_queued=30)
@given(
    numbers=st.lists(st.integers(0, 30), max_size=60),
    bad=st.sets(st.integers(0, 59), max_size=5),
    batch_rows=st.integers(1, 20),
    max_queued=st.integers(1, 30),
)
def test_whatever_is_put_is_stored_once_or_explained(
    shared: Database, run: Run, numbers: list[int], bad: set[int], batch_rows: int, max_queued: int
) -> None:
    rows = [
        trade(n, price=D(0)) if position in bad else trade(n) for position, n in enumerate(numbers)
    ]
    with shared.connect() as connection:
        connection.execute("DELETE FROM entasis.market_data")
        connection.execute("DELETE FROM entasis.quarantine")
        metrics = run(shared.dsn, rows, batch_rows=batch_rows, max_queued=max_queued)
        good = [row for row in rows if row.price]
        assert metrics.queued == 0
        assert metrics.lag == timedelta(0)
        assert metrics.written == len(set(good))
        assert metrics.already_there == len(good) - len(set(good))
        assert metrics.quarantined == len(rows) - len(good)
        assert quarantined(connection) == [
            ("feed", position + 1, "price") for position, row in enumerate(rows) if not row.price
        ]
        oracle.assert_candles_are_right(connection, by_key(*good))


def test_trades_and_quotes_in_one_stream(database: Database) -> None:
    rows: list[Trade | OptionQuote] = [trade(1), quote(1), trade(2), quote(2), quote(1)]
    metrics = run_sync(database.dsn, rows, batch_rows=2)
    assert (metrics.written, metrics.already_there) == (4, 1)
    with database.connect() as connection:
        assert oracle.stored_trades(connection) == by_key(trade(1), trade(2))
        found = connection.execute("SELECT count(*) FROM entasis.option_data").fetchone()
        assert found == (2,)


# Right in type, and all that a feed may hold.
odd_numbers = st.one_of(
    st.decimals(),
    st.sampled_from(["sNaN", "-NaN123", "Infinity", "1e999999", "1e-999999", "1E+2", "-0"]).map(D),
)
odd_names = st.text(max_size=25) | st.sampled_from(["", "\0", "\ud800", "\\N", "\\.", "a\tb\n"])
odd_times = st.one_of(
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14))])),
    st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]),
    st.just(NOON),
)
odd_ids = st.integers() | st.sampled_from([2**63, -(2**63) - 1, 10**4000])
odd_trades = st.builds(
    lambda **fields: trade()._replace(**fields),
    symbol=odd_names, exchange=odd_names, timestamp=odd_times, id=odd_ids,
    price=odd_numbers, volume=odd_numbers,
)  # fmt: skip
odd_quotes = st.builds(
    lambda **fields: quote()._replace(**fields),
    underlying=odd_names, strike_price=odd_numbers, expiry_date=odd_times, option_type=odd_names,
    timestamp=odd_times, id=odd_ids, iv=odd_numbers, delta=odd_numbers,
)  # fmt: skip
odd_json = st.recursive(
    st.none() | st.floats() | odd_numbers | odd_ids | odd_names | st.just(object()),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(odd_names, children),
    max_leaves=5,
)
unreadable = st.builds(
    Unreadable, st.sampled_from(["market_data", "option_data"]), st.just("message"), odd_names,
    odd_json,
)  # fmt: skip


@given(odd=st.lists(odd_trades | odd_quotes | unreadable, min_size=1, max_size=6))
def test_no_row_ends_the_writer(shared: Database, odd: list[Any]) -> None:
    with shared.connect() as connection:
        wipe(connection)
        with writer(shared.dsn, batch_rows=2) as w:
            for row in odd:
                w.put(row)
            w.put(trade(1))
        metrics = w.metrics()
        assert added_up(metrics) == len(odd) + 1
        found = connection.execute("SELECT count(*) FROM entasis.quarantine").fetchone()
        assert found == (metrics.quarantined,)
        key = connection.execute(
            "SELECT count(*) FROM entasis.market_data WHERE symbol = 'BTC' AND id = 1"
        ).fetchone()
        assert key == (1,)


def test_an_unreadable_message_is_handed_back_too(database: Database) -> None:
    message = Unreadable("market_data", "message", "why", {"a": 1})
    with database.connect() as holder:
        w = writer(database.dsn)
        w.open()
        holder.execute("BEGIN; LOCK TABLE entasis.quarantine IN EXCLUSIVE MODE")
        w.put(message)
        with pytest.raises(NotWrittenError) as caught:
            w.close(timeout=timedelta(milliseconds=300))
        assert caught.value.rows == [message]
        holder.rollback()
        with writer(database.dsn) as again:
            again.put(caught.value.rows[0])
        assert again.metrics().quarantined == 1
        assert quarantined(holder) == [("feed", 1, "message")]


# --- a server that is not up yet --------------------------------------------------------------


def late(dsn: str) -> str:
    """Return a connection string of a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return make_conninfo(dsn, host="127.0.0.1", port=str(taken.getsockname()[1]))


def test_a_server_that_is_not_up_yet_is_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "entasis_db.live")
    attempts: list[str] = []

    def connect(conninfo: str) -> Any:
        attempts.append(conninfo)
        return whole(database.dsn if len(attempts) > 3 else conninfo)

    whole = opening.connect
    monkeypatch.setattr(opening, "connect", connect)
    with writer(late(database.dsn), open_timeout=30 * SECOND) as w:
        w.put(trade(1))
    assert w.metrics().written == 1
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("feed: waiting up to 0:00:30 for the server: ")
    assert said[1:] == ["feed: the server is up"]


@pytest.mark.passwords
def test_waiting_has_an_end(database: Database) -> None:
    began = monotonic()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        writer(late(database.dsn), open_timeout=SECOND / 2).open()
    assert 0.5 <= monotonic() - began < 5
    began = monotonic()
    for wrong in ({"password": "wrong"}, {"dbname": "no_such_database"}):
        with pytest.raises(psycopg.OperationalError):
            writer(make_conninfo(database.dsn, **wrong), open_timeout=60 * SECOND).open()
    with pytest.raises(psycopg.OperationalError):
        writer(late(database.dsn)).open()
    assert monotonic() - began < 5
    with pytest.raises(ValueError, match="open_timeout"):
        writer(database.dsn, open_timeout=-SECOND)


# --- what breaks -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def durable(source: Source) -> Iterator[Cluster]:
    """A cluster that keeps what it committed when it is killed."""
    assert source.bindir is not None
    home = Path(tempfile.mkdtemp(prefix="entasis-test-"))
    home.chmod(0o711)
    cluster = Cluster(
        source.bindir, home / "cluster", {**source.settings, "synchronous_commit": "on"}
    )
    try:
        cluster.start()
        migrate(cluster.dsn(), engine=source.engine)
        yield cluster
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.own_cluster
@pytest.mark.kills
@BOTH
@pytest.mark.long
def test_the_server_is_killed_in_the_middle(
    durable: Cluster, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    rows = stream(20_000)
    with psycopg.connect(durable.dsn(), autocommit=True) as connection:
        connection.execute("DELETE FROM entasis.market_data")
    caplog.set_level(logging.WARNING, "entasis_db.live")
    stop = threading.Event()
    kills = 0

    def kill() -> None:
        nonlocal kills
        while kills < 3 and not stop.wait(0.15):
            if kills:
                durable.stop("immediate")
            else:
                pid = durable.status().pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            kills += 1
            durable.start()

    class Slow(list[Trade]):
        """Comes as a feed does, over the time of the kills."""

        def __iter__(self) -> Iterator[Trade]:
            for n, row in enumerate(super().__iter__()):
                while n >= 5_000 * (kills + 1):
                    stop.wait(0.01)
                yield row

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        metrics = run(
            durable.dsn(),
            Slow(rows),
            batch_rows=100,
            max_age=timedelta(milliseconds=20),
            close_timeout=60 * SECOND,
        )
    finally:
        stop.set()
        killer.join()
    assert kills == 3
    assert metrics.retries >= 3
    assert (added_up(metrics), metrics.quarantined, metrics.queued) == (len(rows), 0, 0)
    # a warning when an outage lasts and one when it is over, however many attempts it took
    assert len(caplog.records) <= 2 * kills
    with psycopg.connect(durable.dsn(), autocommit=True) as connection:
        oracle.assert_candles_are_right(connection, by_key(*rows))


@BOTH
def test_connections_are_cut_at_any_byte(database: Database, run: Run) -> None:
    """Also between a commit and its confirmation: then nobody knows, and it is written again."""
    chance = random.Random(5)
    rows = stream(3_000, chance)
    with proxied(database.dsn) as (proxy, dsn):

        class Cutting(list[Trade]):
            def __iter__(self) -> Iterator[Trade]:
                for n, row in enumerate(super().__iter__()):
                    if n % 100 == 0:
                        proxy.cut_after(chance.randrange(1, 9_000))
                    yield row

        metrics = run(dsn, Cutting(rows), batch_rows=50, max_queued=60)
        assert proxy.cuts >= 10
    assert metrics.retries >= 10
    assert (added_up(metrics), metrics.quarantined) == (len(rows), 0)
    with database.connect() as connection:
        oracle.assert_candles_are_right(connection, by_key(*rows))


@BOTH
def test_a_commit_that_was_not_confirmed_is_found_there(database: Database, run: Run) -> None:
    rows = stream(200)
    with proxied(database.dsn) as (proxy, dsn), database.connect() as connection:
        proxy.lost_commits = 3
        metrics = run(dsn, rows, batch_rows=20)
        assert proxy.lost_commits == 0
        assert (metrics.written, metrics.already_there, metrics.retries) == (180, 20, 3)
        assert oracle.stored_trades(connection) == by_key(*rows)


@pytest.mark.parametrize("level", ["read committed", "serializable"])
def test_writers_of_the_same_trades_at_once(database: Database, level: str) -> None:
    rows = stream(600)
    dsn = make_conninfo(
        database.dsn,
        options=f"-c default_transaction_isolation={level.replace(' ', chr(92) + ' ')}",
    )
    writers = [writer(dsn, batch_rows=40, source=f"feed {n}") for n in range(3)]

    def run(w: TickWriter, order: Sequence[Trade]) -> None:
        with w:
            for row in order:
                w.put(row)

    threads = [
        threading.Thread(target=run, args=(w, random.Random(n).sample(rows, len(rows))))
        for n, w in enumerate(writers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reports = [w.metrics() for w in writers]
    assert [added_up(m) for m in reports] == [600] * 3
    assert sum(m.written for m in reports) == 600
    assert sum(m.quarantined for m in reports) == 0
    with database.connect() as connection:
        oracle.assert_candles_are_right(connection, by_key(*rows))


def test_memory_is_bounded_and_put_waits(database: Database) -> None:
    rows = stream(31)
    with database.connect() as holder, writer(database.dsn, batch_rows=10, max_queued=30) as w:
        with holder.transaction():
            holder.execute("LOCK TABLE entasis.market_data IN EXCLUSIVE MODE")
            for row in rows[:30]:
                w.put(row, timeout=5 * SECOND)
            assert not w.offer(rows[30])
            with pytest.raises(TimeoutError, match="30 rows were queued"):
                w.put(rows[30], timeout=timedelta(milliseconds=50))
            with pytest.raises(TimeoutError, match="stay accepted"):
                w.flush(timeout=timedelta(milliseconds=50))
            metrics = w.metrics()
            assert (metrics.queued, metrics.written) == (30, 0)
            assert metrics.lag > timedelta(0)
        w.put(rows[30], timeout=30 * SECOND)
        w.flush(timeout=30 * SECOND)
        assert (w.metrics().queued, w.metrics().written) == (0, 31)
        assert oracle.stored_trades(holder) == by_key(*rows)


def test_an_async_put_that_waits_goes_on_when_there_is_room(database: Database) -> None:
    rows = stream(25)

    async def run() -> None:
        with database.connect() as holder:
            async with AsyncTickWriter(
                database.dsn, source="f", id_space="trade", batch_rows=10, max_queued=20
            ) as w:
                with holder.transaction():
                    holder.execute("LOCK TABLE entasis.market_data IN EXCLUSIVE MODE")
                    for row in rows[:20]:
                        await w.put(row)
                    waiting = asyncio.create_task(w.put(rows[20]))
                    cancelled = asyncio.create_task(w.put(rows[21]))
                    await asyncio.sleep(0.1)
                    assert not waiting.done()
                    cancelled.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await cancelled
                await waiting
                await w.flush()
                assert w.metrics().written == 21
            assert oracle.stored_trades(holder) == by_key(*rows[:21])

    asyncio.run(run())


def test_a_collector_that_is_cancelled_waits_for_its_rows(database: Database) -> None:
    async def collect(accepted: asyncio.Event) -> None:
        async with AsyncTickWriter(database.dsn, source="f", id_space="trade", batch_rows=1) as w:
            await w.put(trade(1))
            await w.put(trade(2))
            accepted.set()
            await asyncio.sleep(3600)

    async def run() -> None:
        accepted = asyncio.Event()
        with database.connect() as holder:
            with holder.transaction():
                holder.execute("LOCK TABLE entasis.market_data IN EXCLUSIVE MODE")
                task = asyncio.create_task(collect(accepted))
                await accepted.wait()
                for _ in range(2):
                    task.cancel()
                    await asyncio.sleep(0.1)
                assert not task.done()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert oracle.stored_trades(holder) == by_key(trade(1), trade(2))

    asyncio.run(run())


@pytest.mark.parametrize("frozen", [False, True], ids=["locked", "silent"])
def test_what_cannot_be_written_is_handed_back(database: Database, frozen: bool) -> None:
    rows = stream(30)
    with proxied(database.dsn) as (proxy, dsn), database.connect() as holder:
        w = writer(dsn, batch_rows=10)
        w.open()
        for row in rows[:10]:
            w.put(row)
        w.flush()
        holder.execute("BEGIN; LOCK TABLE entasis.market_data IN EXCLUSIVE MODE")
        if frozen:
            proxy.stalled.set()
        for row in rows[10:]:
            w.put(row)
        with pytest.raises(NotWrittenError, match="20 accepted rows of feed") as caught:
            w.close(timeout=timedelta(milliseconds=300))
        assert caught.value.rows == rows[10:]
        w.close()
        with pytest.raises(WriterError, match="not open"):
            w.put(rows[0])
        proxy.stalled.clear()
        holder.rollback()
        metrics = run_sync(database.dsn, caught.value.rows)
        assert added_up(metrics) == 20
        assert oracle.stored_trades(holder) == by_key(*rows)


def test_what_cannot_pass_ends_the_writer(database: Database) -> None:
    run_sync(database.dsn, [trade(0, symbol="OLD")])
    rows = [trade(1, symbol="OLD"), trade(2)]
    w = writer(database.dsn, id_space="aggtrade", batch_rows=2)
    w.open()
    for row in rows:
        w.put(row)
    with pytest.raises(WriterError, match="numbered by 'aggtrade'"):
        w.flush()
    with pytest.raises(WriterError, match="has ended"):
        w.put(trade(3))
    with pytest.raises(NotWrittenError, match="write them again") as caught:
        w.close()
    assert caught.value.rows == rows
    assert isinstance(caught.value.__cause__, IdSpaceError)


def test_a_block_that_fails_still_writes_what_was_accepted(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), writer(database.dsn) as w:
        w.put(trade(1))
        raise ZeroDivisionError
    with database.connect() as connection:
        assert oracle.stored_trades(connection) == by_key(trade(1))


def test_mistakes_are_refused_before_they_are_accepted(database: Database) -> None:
    wrong: Any = 1.5
    with writer(database.dsn, id_space={("BTC", "x"): "trade"}) as w:
        for row in (trade(price=wrong), trade(id=True), trade(symbol=None), quote(iv=wrong), wrong):
            with pytest.raises(TypeError):
                w.put(row)
        with pytest.raises(ValueError, match="no time zone"):
            w.put(trade(timestamp=datetime(2024, 8, 8)))  # noqa: DTZ001
        with pytest.raises(ValueError, match="how trades of"):
            w.put(trade(symbol="ETH"))
        w.put(trade(1))
        with pytest.raises(WriterError, match="opened once"):
            w.open()
    assert added_up(w.metrics()) == 1
    with pytest.raises(WriterError, match="between open and close"):
        writer(database.dsn).put(trade(1))
    for options in ({"batch_rows": 0}, {"max_queued": 0}, {"max_age": timedelta(0)}):
        with pytest.raises(ValueError, match="give"):
            writer(database.dsn, **options)


def test_no_password_in_an_error(database: Database) -> None:
    with pytest.raises(ValueError, match="cannot be understood") as caught:
        writer("host=localhost password='hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__
    with proxied(database.dsn) as (proxy, dsn):
        proxy.refusing = True
        with pytest.raises(psycopg.OperationalError):
            writer(dsn).open()
