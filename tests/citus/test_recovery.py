"""All nodes are lost, and restored to a point that was set over all of them."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from psycopg.conninfo import conninfo_to_dict

from entasis_db.embedded import Cluster
from entasis_db.embedded.process import free_port
from entasis_db.embedded.service_user import run_as
from entasis_db.model import Trade
from tests.citus.test_kills import assert_each_is_there_once, batch, load
from tests.db import one
from tests.engines import Database, Server, Source
from tests.servers.citus import CitusServer, Nodes, restart

pytestmark = [pytest.mark.workers, pytest.mark.own_cluster]

_ARCHIVING = {"archive_mode": "on", "full_page_writes": "on"}
_RECOVERY = """
restore_command = 'cp {archive}/%f %p'
recovery_target_name = 'before the release'
recovery_target_action = 'promote'
"""


class Load(NamedTuple):
    """A batch, and when its load was begun and accepted."""

    began: float
    accepted: float
    trades: list[Trade]


@pytest.fixture
def server(source: Source) -> Iterator[Server]:
    """A coordinator and two workers of the test's own, each with an archive of its WAL."""
    archiving = replace(source, settings={**source.settings, **_ARCHIVING})
    own = source.run(archiving)
    assert isinstance(own, CitusServer)
    try:
        for node in own.nodes:
            archive_of(node).mkdir()
            archive_of(node).chmod(0o777)
        yield own
    finally:
        own.close()
        for node in own.nodes:
            shutil.rmtree(archive_of(node).parent, ignore_errors=True)


def archive_of(node: Cluster) -> Path:
    return node.home.parent / "archive"


def backup(node: Cluster, bindir: Path, folder: Path) -> None:
    subprocess.run(
        [
            *(str(bindir / "pg_basebackup"), f"--pgdata={folder}", "--checkpoint=fast"),
            *("--wal-method=none", "--no-sync", f"--dbname={node.dsn('postgres')}"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )


def archived(nodes: Nodes, node: int) -> None:
    """Wait until what a node has written so far is in its archive."""
    ((last,),) = nodes.ask(node, "SELECT pg_walfile_name(pg_switch_wal())")
    for _ in range(200):
        if nodes.ask(node, "SELECT last_archived_wal >= %s FROM pg_stat_archiver", last)[0][0]:
            return
        time.sleep(0.05)
    raise AssertionError(f"node {node} does not archive {last}")


def lose(node: Cluster) -> None:
    node.stop("immediate")
    shutil.rmtree(node.home / "data")


def restore(node: Cluster, folder: Path) -> None:
    """Put the base backup in the place of the data, and recover to the restore point."""
    data = node.home / "data"
    shutil.copytree(folder, data)
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(_RECOVERY.format(archive=archive_of(node)))
    (data / "recovery.signal").touch()
    if (user := run_as()) is not None:
        for path in (data, *data.rglob("*")):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
    restart(node)


def await_promotion(nodes: Nodes, node: int) -> None:
    for _ in range(400):
        if nodes.ask(node, "SELECT NOT pg_is_in_recovery()")[0][0]:
            return
        time.sleep(0.05)
    raise AssertionError(f"node {node} was not promoted")


def keep_loading(database: Database, numbers: "count[int]", end: threading.Event) -> list[Load]:
    loads = []
    with database.connect() as connection:
        while not end.is_set():
            trades, began = batch(next(numbers)), time.monotonic()
            load(connection, trades)
            loads.append(Load(began, time.monotonic(), trades))
    return loads


def critical(database: Database) -> set[str]:
    with database.connect() as connection:
        return {
            name
            for (name,) in connection.execute(
                "SELECT check_name FROM entasis.health WHERE severity IN ('warning', 'critical')"
            )
        }


def stored(database: Database) -> set[tuple[str, int]]:
    with database.connect() as connection:
        return set(connection.execute("SELECT symbol, id FROM entasis.market_data").fetchall())


def keys(loads: list[Load]) -> set[tuple[str, int]]:
    return {(trade.symbol, trade.id or 0) for each in loads for trade in each.trades}


def write_around_the_point(
    database: Database, numbers: "count[int]", backups: list[tuple[Cluster, Path]], bindir: Path
) -> tuple[list[Load], float, float]:
    """Back the nodes up and set the point while two load; answer loads and when it was set."""
    end = threading.Event()
    with ThreadPoolExecutor(2) as pool, database.connect() as connection:
        loading = [pool.submit(keep_loading, database, numbers, end) for _ in range(2)]
        try:
            for node, folder in backups:
                backup(node, bindir, folder)
            time.sleep(1)
            began = time.monotonic()
            one(connection, "SELECT citus_create_restore_point('before the release')")
            ended = time.monotonic()
            time.sleep(1)
        finally:
            end.set()
        loads = [each for one_of in loading for each in one_of.result(60)]
        # of what was there at the point, some goes, and comes back with it
        connection.execute("DELETE FROM entasis.market_data WHERE symbol IN ('K0', 'K5', 'K7')")
    return loads, began, ended


def test_all_nodes_go_back_to_a_restore_point(
    server: Server, database: Database, tmp_path: Path
) -> None:
    """Writers go on while it is set: each of their batches is there as a whole, or not at all."""
    assert isinstance(server, CitusServer)
    assert server.source.bindir is not None
    nodes, numbers = Nodes(server, database), count()
    for number, node in enumerate(server.nodes):
        nodes.give(number, "archive_command", f"cp %p {archive_of(node)}/%f")
    with database.connect() as connection:
        load(connection, batch(next(numbers)))
    ill = critical(database)
    backups = [(node, tmp_path / str(number)) for number, node in enumerate(server.nodes)]
    loads, began, ended = write_around_the_point(database, numbers, backups, server.source.bindir)
    for number in range(len(server.nodes)):
        archived(nodes, number)

    for node in server.nodes:
        lose(node)
    # one of the workers comes back elsewhere
    (server.nodes[2].home / "port").write_text(f"{free_port()}\n")
    for node, folder in reversed(backups):
        restore(node, folder)
    for number in range(len(server.nodes)):
        await_promotion(nodes, number)
    moved = conninfo_to_dict(server.nodes[2].dsn("postgres"))["port"]
    with database.connect() as connection:
        one(
            connection,
            "SELECT citus_update_node((SELECT max(nodeid) FROM pg_dist_node), '127.0.0.1', %s)",
            int(str(moved)),
        )
        one(connection, "SELECT recover_prepared_transactions()")

    before = [each for each in loads if each.accepted < began]
    after = [each for each in loads if each.began > ended]
    assert before
    assert after
    found = stored(database)
    assert keys(before) | {(t.symbol, t.id) for t in batch(0)} <= found
    assert not keys(after) & found
    for each in loads:
        assert keys([each]) <= found or not keys([each]) & found
    assert_each_is_there_once(database, [*batch(0), *(t for each in before for t in each.trades)])
    assert critical(database) <= ill
    # what came after the point comes again, and writers go on
    again = [*(each.trades for each in after), batch(next(numbers))]
    with database.connect() as connection:
        for trades in again:
            load(connection, trades)
    assert_each_is_there_once(database, [trade for trades in again for trade in trades])
