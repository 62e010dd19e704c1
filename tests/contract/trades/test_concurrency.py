"""Several sessions ingest at once."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from entasis_db.ingest import (
    IngestReport,
    ingest_options,
    retrying,
)
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import (
    by_key,
    ingest,
    quarantined,
    with_months,
    without_months,
)
from tests.db import is_blocked
from tests.engines import Database, Server
from tests.make import NOON, D, quote, trade

pytestmark = pytest.mark.copy


def at_once(*steps: Callable[[], Any]) -> list[Any]:
    """Run them in threads of their own, begun together; raise what one of them raised."""
    barrier = threading.Barrier(len(steps))

    def run(step: Callable[[], Any]) -> Any:
        barrier.wait()
        return step()

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(run, steps))


@pytest.mark.several_connections
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_overlapping_batches_in_opposite_order(database: Database, level: str) -> None:
    chance = random.Random(11)
    everything = [
        trade(
            n, symbol=chance.choice("ABCD"), timestamp=NOON + timedelta(days=n % 50, seconds=n % 7)
        )
        for n in range(600)
    ]
    batches = [chance.sample(everything, 120) for _ in range(12)]
    # some of them dirty, so that the slow way meets the fast one
    for batch in batches[::3]:
        batch.append(trade(1, price=D(0)))

    def load(own: Sequence[Sequence[Trade]]) -> IngestReport:
        total = IngestReport()
        with database.connect() as connected:
            connected.execute(f"SET default_transaction_isolation = '{level.lower()}'")
            for batch in own:
                total += retrying(
                    lambda batch=batch: ingest(connected, *chance.sample(batch, len(batch)))
                )
        return total

    reports = at_once(lambda: load(batches), lambda: load(batches[::-1]))
    total = reports[0] + reports[1]
    stored = {t for batch in batches for t in batch if t.price}
    assert total.inserted == len(stored)
    assert total.quarantined == 2 * len(batches[::3])
    assert total.already_there == 2 * sum(map(len, batches)) - total.inserted - total.quarantined
    with database.connect() as connected:
        oracle.assert_candles_are_right(connected, by_key(*stored))


@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
def test_rows_are_written_in_the_order_of_their_key(
    server: Server, slow: bool, staged: list[str]
) -> None:
    """Writers who lock in one order cannot deadlock, and a heap shows in which it was written."""
    # of now, because a job may compress older ones, and then there is no heap
    now = datetime.now(UTC) - timedelta(minutes=1)
    times = [{"timestamp": now - timedelta(microseconds=n)} for n in range(60)]
    rows = [trade(60 - n, symbol="ABC"[n % 3], exchange="xy"[n % 2], **times[n]) for n in range(60)]
    quotes = [
        quote(n, strike_price=D(n % 7 + 1), underlying="AB"[n % 2], **times[n]) for n in range(60)
    ]
    random.Random(3).shuffle(rows)
    random.Random(4).shuffle(quotes)
    # a heap of its own, where no deleted row has left a gap
    with server.database() as lent, lent.connect() as connection:
        connection.execute(
            "SELECT entasis.ensure_partitions(r, %s, %s)"
            " FROM unnest(ARRAY['market_data', 'option_data']) AS r",
            [now - timedelta(minutes=1), now],
        )
        if slow:
            ingest(connection, *rows, trade(99, price=D(0)))
            ingest_options(connection, [*quotes, quote(99, strike_price=D(0))], source="o")
        else:
            ingest(connection, *rows)
            ingest_options(connection, quotes, source="o")
        assert bool(staged) is (slow or not lent.can("direct_copies"))
        for relation, key in (
            ("market_data", "symbol, timestamp, exchange, id"),
            ("option_data", "underlying, expiry_date, strike_price, option_type, timestamp, id"),
        ):
            written = connection.execute(
                f"SELECT tableoid, {key} FROM entasis.{relation} ORDER BY tableoid, ctid"
            ).fetchall()
            assert len(written) == 60
            # in each heap, which is a partition's, or a shard's: on several nodes, a symbol's
            heaps = [None] if lent.can("one_session") else list("ABC")
            for symbol in heaps:
                rows_of_heap = [row for row in written if symbol in (None, row[1])]
                assert rows_of_heap == sorted(rows_of_heap)


@pytest.mark.several_connections
def test_a_conflict_with_what_another_session_has_just_committed(database: Database) -> None:
    mine, theirs = trade(1), trade(1, price=D(2))
    with database.connect() as first, database.connect() as second:
        with_months(first)
        with ThreadPoolExecutor(1) as pool, first.transaction():
            ingest(first, theirs)
            waiting = pool.submit(ingest, second, mine, trade(2), source="second")
            wait_until_blocked(first, second)
        assert waiting.result() == IngestReport(1, 0, 1)
        assert quarantined(first) == [("second", 1, "conflict")]
        oracle.assert_candles_are_right(first, by_key(theirs, trade(2)))


def wait_until_blocked(asking: psycopg.Connection[Any], blocked: psycopg.Connection[Any]) -> None:
    for _ in range(1000):
        if is_blocked(asking, blocked):
            return
        threading.Event().wait(0.01)
    raise AssertionError("the other session did not come to wait")


@pytest.mark.several_connections
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_a_new_month_made_by_two_at_once(database: Database, level: str) -> None:
    with database.connect() as first, database.connect() as second:
        second.execute(f"SET default_transaction_isolation = '{level.lower()}'")
        without_months(first)
        # else they would meet at the new market already
        ingest(first, trade(0, timestamp=NOON - timedelta(days=50)))
        with ThreadPoolExecutor(1) as pool:
            with first.transaction():
                ingest(first, trade(1))
                waiting = pool.submit(retrying, lambda: ingest(second, trade(1), trade(2)))
                wait_until_blocked(first, second)
            assert waiting.result() == IngestReport(1, 1, 0)
        oracle.assert_candles_are_right(
            first, by_key(trade(0, timestamp=NOON - timedelta(days=50)), trade(1), trade(2))
        )


def test_retrying_repeats_what_lost_to_others_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    left: list[Exception] = [
        psycopg.errors.SerializationFailure(),
        psycopg.errors.DeadlockDetected(),
    ]

    def step() -> str:
        if left:
            raise left.pop()
        return "done"

    assert retrying(step) == "done"
    left = [psycopg.errors.DeadlockDetected() for _ in range(9)]
    with pytest.raises(psycopg.errors.DeadlockDetected):
        retrying(step, attempts=3)
    assert len(left) == 6
    left = [psycopg.errors.UniqueViolation()]
    with pytest.raises(psycopg.errors.UniqueViolation):
        retrying(step)
    assert not left
