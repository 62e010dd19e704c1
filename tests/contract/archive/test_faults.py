"""The archive's runs when a store fails, a process is killed, or others write."""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from entasis_db.archive import Store, archive, export, open_store, restore
from entasis_db.errors import ArchiveError, StoreError
from entasis_db.maintenance import maintain
from tests.contract.archive.support import (
    CHANGES,
    FAULTS,
    FIRST,
    NOW,
    RELATIONS,
    Faulty,
    all_rows,
    assert_no_orphans,
    everything,
    fill,
    mark,
    mortal,
    normal,
    prefix,
    several,
    wait_for_the_dead,
)
from tests.db import Connection, KilledError, health, one
from tests.engines import Database, Server
from tests.make import months_ago
from tests.s3 import S3Server

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]


@pytest.mark.long
@pytest.mark.native_speed
@pytest.mark.parametrize(("call", "fault"), FAULTS)
def test_a_store_that_fails_costs_nothing(
    connection: Connection, store: Store, s3: S3Server, tmp_path: Path, call: str, fault: str
) -> None:
    before = normal(everything(connection))
    with pytest.raises((StoreError, KilledError)):
        archive(connection, Faulty(store, call, fault, at=2))
    maintain(connection)
    assert normal(all_rows(connection, store, tmp_path)) == before
    assert health(connection, "market_data")["past_keep"] == 2
    archive(connection, store)
    maintain(connection)
    assert_no_orphans(connection, s3, store)
    assert all(health(connection, r)["past_keep"] == 0 for r in RELATIONS)
    assert normal(all_rows(connection, store, tmp_path)) == before


def test_what_killed_runs_leave_does_not_pile_up(
    connection: Connection, store: Store, s3: S3Server
) -> None:
    for _ in range(3):
        with pytest.raises(KilledError):
            archive(connection, Faulty(store, "put", "kill after"))
        assert len(s3.objects(prefix(store))) == 1


def test_an_archive_that_rotted_is_not_restored(
    connection: Connection, store: Store, s3: S3Server
) -> None:
    archive(connection, store)
    maintain(connection)
    before = everything(connection)
    for relation in RELATIONS:
        for key, file in s3.objects(prefix(store)).items():
            if key.startswith(relation):
                file.write_bytes(file.read_bytes()[:-1] + b"?")
        with pytest.raises(StoreError, match="other bytes"):
            restore(connection, store, relation, FIRST, NOW, attach=True)
    assert everything(connection) == before
    connection.execute("UPDATE entasis.archive_objects SET sha256 = repeat('0', 64)")
    with pytest.raises(StoreError):
        restore(connection, store, "market_data", FIRST, NOW, attach=True)


def test_an_object_with_other_rows_than_the_manifest_says_is_not_restored(
    connection: Connection, store: Store
) -> None:
    archive(connection, store)
    maintain(connection)
    before = everything(connection)
    connection.execute("UPDATE entasis.archives SET checksum = checksum + 1")
    with pytest.raises(ArchiveError, match=r"not the .* of the manifest"):
        restore(connection, store, "market_data", FIRST, NOW, attach=True)
    assert everything(connection) == before


@several
def test_two_runs_at_once_are_refused(filled: Connection, database: Database, url: str) -> None:
    mark(filled)
    refused: list[str] = []

    def other(_: object) -> None:
        if refused:
            return
        with database.connect() as second, pytest.raises(ArchiveError, match="another") as caught:
            archive(second, open_store(url))
        refused.append(str(caught.value))

    archive(filled, open_store(url), other)
    assert refused
    with database.connect(autocommit=False) as careless:
        with pytest.raises(ValueError, match="autocommit"):
            archive(careless, open_store(url))
        with pytest.raises(ValueError, match="autocommit"):
            restore(careless, open_store(url), "market_data", FIRST, NOW)


@several
def test_rows_that_arrive_while_their_range_is_written_are_in_the_archive(
    connection: Connection, store: Store, database: Database, s3: S3Server, tmp_path: Path
) -> None:
    late = iter(range(100, 200))

    def write(event: Any) -> None:
        if event.relation == "market_data" and "comparing" in event.step:
            number = next(late)
            if number < 100 + export._ATTEMPTS - 1:
                with database.connect() as writer:
                    writer.execute(
                        CHANGES["inserted"].replace("77", str(number)).encode(), [event.from_time]
                    )

    archive(connection, store, write)
    before = normal(everything(connection))
    maintain(connection)
    assert_no_orphans(connection, s3, store)
    assert normal(all_rows(connection, store, tmp_path)) == before
    assert health(connection, "market_data")["past_keep"] == 0


@several
def test_a_range_that_keeps_changing_is_left_for_the_next_run(
    connection: Connection, store: Store, database: Database, s3: S3Server
) -> None:

    def write(event: Any) -> None:
        if event.relation == "market_data" and "comparing" in event.step:
            connection_of_another.execute(
                "UPDATE entasis.market_data SET price = price + 1 WHERE timestamp >= %s"
                " AND timestamp < %s AND symbol = 'BTC'",
                [event.from_time, event.to_time],
            )

    with (
        database.connect() as connection_of_another,
        pytest.raises(ArchiveError, match=r"3 ranges .* changed while it was written"),
    ):
        archive(connection, store, write)
    assert_no_orphans(connection, s3, store)
    archived = {r[0] for r in connection.execute("SELECT relation FROM entasis.archives")}
    assert "market_data" not in archived
    assert "option_data" in archived


def test_a_value_without_an_exact_form_keeps_its_range_and_no_other(
    connection: Connection, store: Store, s3: S3Server
) -> None:
    # which refuses such a value when it is written
    connection.execute(
        "ALTER TABLE entasis.market_data DROP CONSTRAINT market_data_created_at_archivable"
    )
    connection.execute(
        "UPDATE entasis.market_data SET created_at = 'infinity' WHERE timestamp = %s",
        [months_ago(6)],
    )
    with pytest.raises(ArchiveError, match="1 ranges could not be archived"):
        archive(connection, store)
    # none that is younger goes either, which would leave its rows below the floor
    stays = one(
        connection,
        "SELECT count(*) FROM entasis.partitions AS p"
        " WHERE p.relation = 'market_data' AND p.past_keep AND p.to_time > %s",
        months_ago(6),
    )
    maintain(connection)
    assert_no_orphans(connection, s3, store)
    assert health(connection, "market_data")["past_keep"] == stays > 0
    assert health(connection, "option_data")["past_keep"] == 0


@pytest.mark.monthly_partitions
def test_a_partition_without_a_lower_bound_is_said_and_stays(
    connection: Connection, database: Database, url: str
) -> None:
    mark(connection)
    connection.execute(
        "CREATE TABLE entasis.oldest PARTITION OF entasis.market_data"
        " FOR VALUES FROM (MINVALUE) TO ('2010-01-01Z')"
    )
    with pytest.raises(ArchiveError, match="oldest has no lower bound"):
        archive(connection, open_store(url))
    maintain(connection)
    assert one(connection, "SELECT to_regclass('entasis.oldest')::text") == "entasis.oldest"


@several
@pytest.mark.long
def test_a_process_that_is_killed(
    connection: Connection,
    store: Store,
    database: Database,
    s3: S3Server,
    url: str,
    tmp_path: Path,
    short: bool,
) -> None:
    before = normal(everything(connection))
    verified, kills = 0, 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-m", "entasis_db", "archive", "--to", url],
            env={**os.environ, "DATABASE_URL": database.dsn},
            stdout=subprocess.DEVNULL,
        )
        # killed with something written that nobody vouches for yet
        while kills < (1 if short else 4) and process.poll() is None:
            time.sleep(0.005)  # leave it the processor
            done = one(connection, "SELECT count(verified_at) FROM entasis.archives")
            if done > verified:
                process.kill()
                kills += 1
                break
        if process.wait() == 0:
            break
        verified = one(connection, "SELECT count(verified_at) FROM entasis.archives")
        wait_for_the_dead(connection)
    assert kills
    maintain(connection)
    assert_no_orphans(connection, s3, store)
    assert all(health(connection, r)["past_keep"] == 0 for r in RELATIONS)
    assert normal(all_rows(connection, store, tmp_path)) == before


@several
@pytest.mark.long
def test_killed_anywhere_the_next_run_completes_it(
    server: Server, s3: S3Server, tmp_path: Path, short: bool
) -> None:
    """Before each exchange with the server that an archive run, a drop and a restore have."""
    with server.database(fill) as lent, lent.connect() as connected:
        store = open_store(s3.url(secrets.token_hex(4)))
        connected.execute("UPDATE entasis.keep_periods SET archived = true")
        before = normal(everything(connected))

        def until_done(step: Any, stride: int) -> None:
            for kill_at in range(1, 10_000, stride):
                doomed = mortal(kill_at).connect(lent.dsn, autocommit=True)
                try:
                    step(doomed)
                except KilledError:
                    wait_for_the_dead(connected)
                    assert normal(all_rows(connected, store, tmp_path)) == before
                else:
                    doomed.close()
                    return

        stride = 4 if short else 1
        until_done(lambda c: archive(c, store), stride)
        assert_no_orphans(connected, s3, store)
        until_done(maintain, 2 if short else 1)
        assert all(health(connected, r)["past_keep"] == 0 for r in RELATIONS)
        for relation in RELATIONS:
            until_done(lambda c, r=relation: restore(c, store, r, FIRST, NOW, attach=True), stride)
        assert normal(everything(connected)) == before
