"""A worker that dies in a load, and a coordinator that dies between prepare and commit."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

import psycopg
import pytest

from entasis_db import ingest
from entasis_db.model import Trade
from tests.db import one
from tests.engines import Database
from tests.make import trade
from tests.oracle import assert_candles_are_right
from tests.servers.citus import Nodes

pytestmark = [pytest.mark.workers, pytest.mark.own_cluster]

_START = datetime.now(UTC) - timedelta(hours=2)
_SYMBOLS = 12  # on all workers
_BATCH = 60


def batch(number: int) -> list[Trade]:
    first = number * _BATCH
    return [
        trade(
            first + n,
            symbol=f"K{n % _SYMBOLS}",
            exchange="k",
            timestamp=_START + timedelta(milliseconds=7 * (first + n)),
        )
        for n in range(_BATCH)
    ]


def load(connection: psycopg.Connection[object], trades: list[Trade]) -> None:
    report = ingest.retrying(
        lambda: ingest.ingest_trades(
            connection, trades, source="k", id_space="trade", time_unit="us"
        )
    )
    assert report.inserted + report.already_there == len(trades), report


def assert_each_is_there_once(database: Database, accepted: list[Trade]) -> None:
    with database.connect() as connection:
        one(connection, "SELECT recover_prepared_transactions()")
        stored = Counter(
            connection.execute("SELECT symbol, id FROM entasis.market_data").fetchall()
        )
        lost = {(t.symbol, t.id) for t in accepted} - set(stored)
        assert not lost, f"{len(lost)} of {len(accepted)} accepted trades are lost"
        assert set(stored.values()) <= {1}
        assert_candles_are_right(connection)


def keep_loading(
    database: Database, numbers: "count[int]", going_on: Callable[[], bool]
) -> list[Trade]:
    """Load batch after batch, each until it is accepted, with a new connection after an error."""
    accepted: list[Trade] = []
    while going_on():
        trades = batch(next(numbers))
        until = time.monotonic() + 60
        while True:
            try:
                with database.connect() as connection:
                    load(connection, trades)
            except psycopg.Error:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
            else:
                accepted += trades
                break
    return accepted


@pytest.mark.parametrize("victim", [0, 1], ids=["coordinator", "worker"])
def test_a_node_is_killed_in_the_middle_of_loads(
    database: Database, nodes: Nodes, victim: int, short: bool
) -> None:
    """It is killed and started again, and again; what was accepted is there once."""
    numbers, going_on = count(), True
    with ThreadPoolExecutor(2) as pool:
        loading = [pool.submit(keep_loading, database, numbers, lambda: going_on) for _ in range(2)]
        try:
            for _ in range(1 if short else 3):
                time.sleep(2)
                nodes.kill(victim)
                time.sleep(1)
                nodes.start(victim)
            time.sleep(3)
        finally:
            going_on = False
        accepted = [each for one_of in loading for each in one_of.result(90)]
    assert len(accepted) >= 2 * _BATCH
    assert_each_is_there_once(database, accepted)


def test_a_coordinator_dies_before_it_has_decided(database: Database, nodes: Nodes) -> None:
    """One worker has prepared, the other has not: the load is not accepted, and leaves nothing."""
    with database.connect() as connection:
        load(connection, batch(0))
        pids = nodes.backends(2)
        with ThreadPoolExecutor(1) as pool:
            connection.execute("BEGIN")
            trades = batch(1)
            ingest.ingest_trades(connection, trades, source="k", id_space="trade", time_unit="us")
            stopped = nodes.backends(2) - pids or nodes.backends(2)
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            try:
                committing = pool.submit(connection.execute, "COMMIT")
                nodes.await_prepared(1)
                nodes.kill(0)
            finally:
                for pid in stopped:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
            with pytest.raises(psycopg.OperationalError):
                committing.result(30)
    nodes.start(0)
    assert nodes.prepared(1)
    with database.connect() as connection:
        one(connection, "SELECT recover_prepared_transactions()")
        assert one(connection, "SELECT count(*) FROM entasis.market_data") == _BATCH
        load(connection, trades)
    assert nodes.prepared(1) == 0
    assert_each_is_there_once(database, batch(0) + trades)


def test_a_coordinator_dies_after_it_has_decided(database: Database, nodes: Nodes) -> None:
    """It has written its commit and told no worker: recovery commits what they have prepared."""
    with database.connect() as connection:
        load(connection, batch(0))
    nodes.give(0, "synchronous_standby_names", "nobody")
    try:
        with database.connect() as connection, ThreadPoolExecutor(1) as pool:
            trades = batch(1)
            connection.execute("SET synchronous_commit = on")
            loading = pool.submit(load, connection, trades)
            nodes.await_prepared(1)
            nodes.await_prepared(2)
            nodes.await_sync_wait()
            nodes.kill(0)
            with pytest.raises(psycopg.OperationalError):
                loading.result(30)
    finally:
        nodes.start(0)
        nodes.give(0, "synchronous_standby_names", "")
    assert nodes.prepared(1)
    assert nodes.prepared(2)
    with database.connect() as connection:
        one(connection, "SELECT recover_prepared_transactions()")
        assert one(connection, "SELECT count(*) FROM entasis.market_data") == 2 * _BATCH
        assert nodes.prepared(1) == nodes.prepared(2) == 0
        # its client does not know, and comes again
        load(connection, trades)
    assert_each_is_there_once(database, batch(0) + trades)
