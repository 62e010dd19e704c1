"""The guard of the archive: nothing is dropped that it does not hold."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from entasis_db.archive import Store, archive, open_store, restore
from entasis_db.errors import StoreError
from entasis_db.maintenance import maintain
from tests import oracle
from tests.conftest import Login
from tests.contract.archive.support import (
    CHANGES,
    FIRST,
    NOW,
    RELATIONS,
    Faulty,
    all_rows,
    assert_no_orphans,
    everything,
    live,
    mark,
    normal,
    prefix,
    several,
)
from tests.db import Connection, fire_no_triggers, health, one
from tests.engines import Database
from tests.make import months_ago
from tests.s3 import S3Server

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]


@several
@pytest.mark.parametrize(
    "as_owner", [pytest.param(False, marks=pytest.mark.long), True], ids=["admin", "owner"]
)
@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_after_it_was_archived_is_archived_again_before_it_goes(
    connection: Connection,
    store: Store,
    login: Login,
    s3: S3Server,
    tmp_path: Path,
    change: str,
    as_owner: bool,
) -> None:
    admin = login("entasis_admin", *(["entasis_owner"] if as_owner else []))
    archive(admin, store)
    old = s3.objects(prefix(store)).keys()
    assert connection.execute(CHANGES[change].encode(), [months_ago(5)]).rowcount == 1
    oracle.refresh(connection)
    before = normal(everything(connection))

    maintain(admin)
    assert normal(all_rows(connection, store, tmp_path)) == before
    assert {row[2] for row in live(connection, "market_data")} > {months_ago(5)}
    state = health(connection, "market_data")
    assert (state["past_keep"], state["waiting_for_archive"], state["stale_archives"]) == (1, 1, 1)
    assert "archived again" in state["kept_because"][0]

    (again,) = archive(admin, store)
    assert again.relation == "market_data"
    assert again.from_time <= months_ago(5) < again.to_time
    assert len(old - s3.objects(prefix(store)).keys()) == 1
    assert_no_orphans(connection, s3, store)
    maintain(admin)
    assert health(connection, "market_data")["past_keep"] == 0
    assert normal(all_rows(connection, store, tmp_path)) == before


def test_an_archive_run_finds_by_itself_what_changed(connection: Connection, store: Store) -> None:
    archive(connection, store)
    connection.execute(CHANGES["corrected"].encode(), [months_ago(5)])
    (again,) = archive(connection, store)
    assert again.relation == "market_data"
    assert again.from_time <= months_ago(5) < again.to_time


def test_the_old_archive_stays_until_the_new_one_is_verified(
    connection: Connection, store: Store, s3: S3Server
) -> None:
    archive(connection, store)
    old = s3.objects(prefix(store)).keys()
    connection.execute(CHANGES["corrected"].encode(), [months_ago(5)])
    with pytest.raises(StoreError):
        archive(connection, Faulty(store, "get", "refuse"))
    assert s3.objects(prefix(store)).keys() >= old
    assert one(connection, "SELECT count(*) FROM entasis.archives WHERE superseded_at IS NULL") > 0


@several
def test_nothing_is_dropped_without_an_archive(filled: Connection, login: Login) -> None:
    mark(filled)
    before = everything(filled)
    for roles in (("entasis_admin",), ("entasis_admin", "entasis_owner")):
        maintain(login(*roles))
        assert everything(filled) == before
    relation, name = filled.execute(
        "SELECT relation, partition_name FROM entasis_internal.expired_partitions()"
    ).fetchall()[0]
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="no verified archive"):
        filled.execute("SELECT entasis_internal.drop_partition(%s, %s)", [relation, name])
    assert health(filled, "market_data")["waiting_for_archive"] == 3


@several
def test_rows_that_an_old_snapshot_does_not_show_are_not_dropped(
    filled: Connection, database: Database, url: str
) -> None:
    mark(filled)
    archive(filled, open_store(url))
    name = one(
        filled,
        "SELECT partition_name FROM entasis.partitions WHERE relation = 'market_data'"
        " AND from_time <= %s AND to_time > %s",
        months_ago(14),
        months_ago(14),
    )
    with database.connect(autocommit=False) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT count(*) FROM entasis.market_data")
        filled.execute(CHANGES["inserted"].encode(), [months_ago(14)])
        with pytest.raises(errors.InvalidTransactionState, match="READ COMMITTED"):
            old.execute("SELECT entasis_internal.drop_partition('market_data', %s)", [name])
        old.rollback()


@several
@pytest.mark.parametrize("as_owner", [False, True], ids=["admin", "owner"])
def test_a_writer_who_has_not_committed_yet_is_not_passed_over(
    connection: Connection, store: Store, database: Database, tmp_path: Path, as_owner: bool
) -> None:
    archive(connection, store)
    with database.connect() as writer, database.connect() as worker, ThreadPoolExecutor(1) as pool:
        with writer.transaction():
            writer.execute(CHANGES["inserted"].encode(), [months_ago(14)])
            if as_owner:
                running = pool.submit(maintain, worker)
            else:
                running = pool.submit(lambda: worker.execute("CALL entasis.maintain()"))
            for _ in range(1500):
                if one(connection, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    break
                if running.done():  # where it is left to the next run
                    assert not database.can("detach")
                    break
                threading.Event().wait(0.01)
            else:
                raise AssertionError("maintenance did not wait for the writer")
        running.result(60)
    rows = normal(all_rows(connection, store, tmp_path))
    assert sum(row[3] == 77 for row in rows["market_data"]) == 1
    assert one(connection, "SELECT count(*) FROM entasis.market_data WHERE id = 77") == 1


@pytest.mark.detach
@several
def test_what_arrives_while_its_partition_is_being_detached_is_not_lost(
    connection: Connection, store: Store, database: Database, tmp_path: Path
) -> None:
    archive(connection, store)
    said: list[str] = []

    def late(line: str) -> None:
        said.append(line)
        if len(said) == 1:
            connection.execute(CHANGES["inserted"].encode(), [months_ago(14)])

    with database.connect() as worker:
        maintain(worker, late)
    assert "is attached again" in said[1]
    rows = normal(all_rows(connection, store, tmp_path))
    assert sum(row[3] == 77 for row in rows["market_data"]) == 1
    archive(connection, store)
    maintain(connection)
    assert health(connection, "market_data")["past_keep"] == 0
    assert normal(all_rows(connection, store, tmp_path))["market_data"] == rows["market_data"]


def test_the_archive_of_what_was_dropped_is_never_replaced(
    connection: Connection, store: Store
) -> None:
    archive(connection, store)
    maintain(connection)
    (back, *_) = restore(connection, store, "market_data", FIRST, NOW, attach=True)
    where = "SELECT max(oid::regclass::text) FROM pg_class WHERE relname = %s"
    table = one(connection, where, back.table)
    with connection.transaction():
        fire_no_triggers(connection)
        connection.execute(f"DELETE FROM {table}")
    connection.execute("UPDATE entasis.restores SET held_until = now()")
    said: list[str] = []
    assert archive(connection, store, lambda event: said.append(str(event))) == []
    assert any("its archive is not replaced" in line for line in said)
    maintain(connection)
    assert one(connection, where, back.table) == table


def test_a_partition_that_an_owner_dropped_shows(filled: Connection) -> None:
    mark(filled)
    maintain(filled)
    relation, oid, start, end = filled.execute(
        "SELECT relation, partition_oid::regclass::text, from_time, to_time"
        " FROM entasis_internal.expired_partitions() WHERE relation = 'market_data'"
    ).fetchall()[0]
    assert health(filled, relation)["gone_without_archive"] == []
    filled.execute(f"DROP TABLE {oid}")
    (gone,) = health(filled, relation)["gone_without_archive"]
    assert (gone.lower, gone.upper) == (start, end)


def test_what_health_says_of_a_database_that_is_well(
    connection: Connection, database: Database
) -> None:
    for relation in RELATIONS:
        state = health(connection, relation)
        assert (state["past_keep"], state["kept_because"], state["partitions_reach_ahead"]) == (
            0,
            [],
            True,
        )
        assert state["verified_up_to"] is None
    connection.execute("UPDATE entasis.keep_periods SET months_ahead = 5")
    # chunks are made when rows come
    made_ahead = not database.can("monthly_partitions")
    assert health(connection, "market_data")["partitions_reach_ahead"] is made_ahead


def test_without_the_mark_nothing_is_archived_and_maintenance_drops(
    filled: Connection, url: str
) -> None:
    assert archive(filled, open_store(url)) == []
    maintain(filled)
    assert health(filled, "market_data")["past_keep"] == 0
    assert health(filled, "market_data")["gone_without_archive"] == []


@several
@pytest.mark.parametrize("role", ["entasis_reader", "entasis_writer"])
def test_others_may_not(
    filled: Connection, login: Login, url: str, role: str, tmp_path: Path
) -> None:
    mark(filled)
    with pytest.raises(errors.InsufficientPrivilege):
        archive(login(role), open_store(url))
    for statement in (
        "SELECT * FROM entasis.archives",
        "SELECT * FROM entasis.lifecycle",
        "SELECT entasis_internal.archive_begin('market_data', now(), now(), '')",
        "SELECT entasis_internal.restore_begin('market_data', now(), now())",
        "SELECT entasis_internal.attach_restored('x', '1 day')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            login(role).execute(statement.encode())


@several
def test_an_administrator_does_not_write_the_manifest(filled: Connection, login: Login) -> None:
    admin = login("entasis_admin")
    mark(filled)
    for statement in (
        "UPDATE entasis.archives SET row_count = 0",
        "DELETE FROM entasis.archive_objects",
        "INSERT INTO entasis.restores (table_name) VALUES ('x')",
        "UPDATE entasis_internal.known_partitions SET first_seen_at = now()",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            admin.execute(statement.encode())
    relation, start, end = filled.execute(
        "SELECT relation, from_time, to_time FROM entasis_internal.expired_partitions()"
    ).fetchall()[0]
    begun = one(
        admin, "SELECT id FROM entasis_internal.archive_begin(%s, %s, %s, '')", relation, start, end
    )
    # it is not believed either: these are not the rows
    assert not one(admin, "SELECT entasis_internal.archive_verified(%s, 3, 12345, '[]')", begun)
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        admin.execute(
            "SELECT entasis_internal.archive_begin('market_data', %s, %s, '')",
            [months_ago(1), months_ago(0)],
        )
