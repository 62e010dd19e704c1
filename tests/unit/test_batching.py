"""When a writer's batches are due, and which rows are not known to be stored: without a clock."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from entasis_db.ingest import IngestReport
from entasis_db.live.batching import Batching
from tests.make import trade

AGE = timedelta(seconds=10)


def made(batch_rows: int = 3, max_queued: int = 5) -> Batching:
    return Batching(batch_rows, AGE, max_queued)


def test_a_batch_is_due_when_it_is_full() -> None:
    batching = made()
    assert batching.due_in(0) is None
    assert batching.accept(trade(1), 0)  # from never to half of the age
    assert not batching.accept(trade(2), 1)
    assert batching.due_in(1) == 4
    assert batching.accept(trade(3), 1)
    assert batching.due_in(1) == 0
    batching.accept(trade(4), 1)
    assert batching.batch() == [trade(1), trade(2), trade(3)]
    assert len(batching) == 4


def test_a_batch_is_due_when_its_oldest_row_is_half_of_the_age() -> None:
    batching = made()
    batching.accept(trade(1), 100)
    batching.accept(trade(2), 104)
    assert batching.due_in(104.5) == 0.5
    assert batching.due_in(105) == batching.due_in(200) == 0
    batching.settle(batching.batch()[:1], IngestReport(inserted=1))
    assert batching.due_in(105) == 4


def test_what_is_awaited_is_due_and_what_came_later_is_not() -> None:
    batching = made(batch_rows=1000, max_queued=1000)
    batching.accept(trade(1), 0)
    assert batching.await_all() == 1
    assert batching.due_in(0) == 0
    batching.accept(trade(2), 0)
    batching.settle([trade(1)], IngestReport(inserted=1))
    assert batching.due_in(0) == 5
    assert batching.await_all() == 2
    # a second wait for less does not take it back
    assert batching.await_all() == 2
    assert batching.due_in(0) == 0


def test_everything_is_due_while_it_drains() -> None:
    batching = made()
    batching.draining = True
    assert batching.due_in(0) is None
    batching.accept(trade(1), 0)
    assert batching.due_in(0) == 0


def test_a_batch_is_no_larger_than_the_queue() -> None:
    batching = made(batch_rows=100, max_queued=2)
    batching.accept(trade(1), 0)
    assert batching.has_room()
    assert batching.accept(trade(2), 0)
    assert not batching.has_room()
    assert batching.due_in(0) == 0


@given(
    acts=st.lists(st.sampled_from(["accept", "settle", "await", "hand back"]), max_size=40),
    batch_rows=st.integers(1, 5),
    max_queued=st.integers(1, 8),
)
def test_every_row_is_in_one_place(acts: list[str], batch_rows: int, max_queued: int) -> None:
    batching = made(batch_rows, max_queued)
    queued: list[Any] = []
    settled = 0
    stored = 0
    for now, act in enumerate(acts):
        match act:
            case "accept" if batching.has_room():
                batching.accept(trade(now), now)
                queued.append(trade(now))
            case "settle":
                batch = batching.batch()
                assert batch == queued[: min(batch_rows, max_queued)]
                batching.settle(batch, IngestReport(inserted=len(batch)))
                del queued[: len(batch)]
                settled += len(batch)
                stored += len(batch)
            case "await":
                assert batching.await_all() == settled + len(queued)
            case "hand back":
                assert batching.hand_back() == queued
                settled += len(queued)
                queued.clear()
        assert batching.has_room() == (len(queued) < max_queued)
        assert (len(batching), batching.settled) == (len(queued), settled)
        metrics = batching.metrics(now)
        assert (metrics.queued, metrics.written) == (len(queued), stored)
        assert metrics.lag == timedelta(seconds=now - queued[0].id if queued else 0)
