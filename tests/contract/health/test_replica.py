"""What a real primary and its real replica say of each other, from health to the primary's end."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple

import psycopg
import pytest

from entasis_db.embedded import Cluster
from entasis_db.health import Check, health
from entasis_db.migrate import migrate
from tests.contract.cache.test_replicas import copied
from tests.db import Connection, one
from tests.engines import Source
from tests.servers.cluster import bare_cluster

pytestmark = [pytest.mark.newest_server, pytest.mark.own_cluster, pytest.mark.standby]

ASKED = {
    *("slot_inactive", "slot_wal", "slot_lost", "wal_ready", "archive_command_failing"),
    *("replication_lag", "replication_behind", "replica_cut_off", "standby_missing"),
    *("recovery_conflicts",),
}


class Pair(NamedTuple):
    """Two clusters, and a superuser's connection to each."""

    clusters: tuple[Cluster, Cluster]
    primary: Connection
    standby: Connection


@pytest.fixture(scope="module")
def pair(source: Source) -> Iterator[Pair]:
    assert source.bindir is not None
    settings = {
        "synchronous_commit": "on",
        "archive_mode": "on",
        "max_slot_wal_keep_size": "1MB",
        **source.settings,
    }
    with bare_cluster(source.bindir, **settings) as primary, ExitStack() as stack:
        migrate(primary.dsn(), engine=source.engine)
        primary.stop()
        follows = {
            "primary_conninfo": primary.dsn("postgres"),
            "max_standby_streaming_delay": "0",
        }
        standby = copied(stack, primary, "replica", **follows)
        (standby.home / "data" / "standby.signal").touch()
        primary.start()
        standby.start()
        both = [
            stack.enter_context(psycopg.connect(c.dsn(), autocommit=True))
            for c in (primary, standby)
        ]
        set_to(both[0], "archive_command = 'true'")
        for name, warning in (("replication_behind", 100000), ("wal_ready", 1)):
            both[0].execute(
                "UPDATE entasis.thresholds SET warning = %s WHERE check_name = %s", [warning, name]
            )
        both[0].execute("CREATE TABLE public.t AS SELECT generate_series(1, 10) AS a")
        until(both[1], set())
        yield Pair((primary, standby), *both)


def until(connection: Connection, wanted: set[str], again: str = "SELECT") -> dict[str, Check]:
    """Wait until these alone are over, of those that this is about; do ``again`` each time."""
    deadline = time.monotonic() + 20
    while True:
        connection.execute(again.encode())
        found: dict[str, Check] = {}
        with suppress(psycopg.errors.SerializationFailure):  # the look, too, may be in the way
            found = {c.check: c for c in health(connection) if c.check in ASKED}
        over = {name for name, check in found.items() if check.severity != "ok"}
        if found and over == wanted:
            return found
        assert time.monotonic() < deadline, f"{over} are over, and not {wanted}"
        time.sleep(0.05)


def test_a_replica_that_does_not_replay(pair: Pair) -> None:
    well = until(pair.standby, set())
    assert well["replication_lag"].value == 0
    until(pair.primary, set())
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    pair.primary.execute("INSERT INTO public.t SELECT generate_series(1, 20000)")
    until(pair.primary, {"replication_behind"})
    behind = until(pair.standby, {"replication_behind"})
    assert (behind["replication_lag"].value or 0) > 0
    pair.standby.execute("SELECT pg_wal_replay_resume()")
    until(pair.standby, set())
    until(pair.primary, set())


def test_a_slot_that_is_lost(pair: Pair) -> None:
    pair.primary.execute("SELECT pg_create_physical_replication_slot('left', true)")
    until(pair.primary, {"slot_inactive"})
    for _ in range(3):
        pair.primary.execute("SELECT pg_logical_emit_message(false, 'x', 'x')")
        pair.primary.execute("SELECT pg_switch_wal()")
    # the replica has no slot: what it has not received would be removed under it, too
    written = one(pair.primary, "SELECT pg_current_wal_lsn()::text")
    deadline = time.monotonic() + 20
    while not one(pair.standby, "SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn", written):
        assert time.monotonic() < deadline, "the replica does not receive"
        time.sleep(0.05)
    pair.primary.execute("CHECKPOINT")
    until(pair.primary, {"slot_lost"})
    pair.primary.execute("SELECT pg_drop_replication_slot('left')")
    until(pair.primary, set())


def set_to(connection: Connection, assignment: str) -> None:
    connection.execute(f"ALTER SYSTEM SET {assignment}".encode())
    connection.execute("SELECT pg_reload_conf()")


def test_an_archive_command_that_fails(pair: Pair) -> None:
    set_to(pair.primary, "archive_command = 'false'")
    # the archiver may have had a segment before it knew
    written = "SELECT pg_switch_wal() FROM pg_logical_emit_message(false, 'x', 'x')"
    until(pair.primary, {"wal_ready", "archive_command_failing"}, written)
    set_to(pair.primary, "archive_command = 'true'")
    until(pair.primary, set())


def test_a_query_that_stands_in_the_way_of_replay(pair: Pair) -> None:
    ended = suppress(psycopg.errors.SerializationFailure)
    with ended, psycopg.connect(pair.clusters[1].dsn()) as reading:
        reading.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reading.execute("SELECT count(*) FROM public.t")
        pair.primary.execute("DELETE FROM public.t")
        pair.primary.execute("VACUUM public.t")
        until(pair.standby, {"recovery_conflicts"})


def test_a_standby_and_a_primary_that_are_gone(pair: Pair) -> None:
    primary, standby = pair.clusters
    set_to(pair.primary, "synchronous_standby_names = '*'")
    until(pair.primary, set())
    standby.stop()
    until(pair.primary, {"standby_missing"})
    standby.start()
    until(pair.primary, set())
    primary.stop()
    with psycopg.connect(standby.dsn(), autocommit=True) as left:
        assert "replica_cut_off" in {c.check for c in health(left) if c.severity == "critical"}
