"""The archive: nothing is dropped that it does not hold, and everything comes back."""

import contextlib
import dataclasses
import http.server
import os
import secrets
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import errors

from entasis_db.archive import Store, archive, export, layout, open_store, restore
from entasis_db.cli import main
from entasis_db.errors import ArchiveError, StoreError
from entasis_db.ingest import ingest_options, ingest_trades, load_options, load_trades
from entasis_db.maintenance import maintain
from entasis_db.migrate import migrate
from entasis_db.model import OptionQuote, Trade
from tests import oracle
from tests.conftest import Login
from tests.contract.floors.test_floor import INSERT_QUOTE, INSERT_TRADE, refused
from tests.contract.retention.test_maintenance import TRADES_OF, month
from tests.engines import Database, Server
from tests.s3 import S3Server

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]
several = pytest.mark.several_connections

Connection = psycopg.Connection[Any]
RELATIONS = ("market_data", "option_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d")
FIRST = datetime(2009, 1, 1, tzinfo=UTC)
NOW = datetime.now(UTC)

HUGE = Decimal("999999999999.123456789012")


def quote(time: datetime, number: int, **values: Decimal | None) -> OptionQuote:
    greeks = {"iv": None, "delta": None, "gamma": None, "theta": None, "vega": None, **values}
    return OptionQuote("ETH", Decimal("3000.50"), month(0), "put", time, number, **greeks)


def fill(connection: Connection) -> None:
    """Trades and quotes of several months, some of them past their keep period."""
    trades = [
        Trade(symbol, "x", month(back) + timedelta(days=day), day, Decimal(day + 1), Decimal(back))
        for back in TRADES_OF
        for day in range(3)
        for symbol in ("BTC", "Ünï,\n\"c'ode")
    ]
    # a minute whose quote volume no DECIMAL(38, 24) holds
    trades += [Trade("HUGE", "x", month(14), n, HUGE, HUGE) for n in range(3)]
    ingest_trades(connection, trades, source="fill", id_space="trade")
    quotes = [
        quote(month(5), 0, iv=Decimal("0.65"), gamma=Decimal("0.000000000000000001")),
        quote(month(5), 1, delta=Decimal("-1.50"), theta=-HUGE, vega=Decimal(0)),
        quote(month(1), 0),
    ]
    ingest_options(connection, quotes, source="fill")
    oracle.refresh(connection)


def mark(connection: Connection, archived: bool = True) -> None:
    connection.execute("UPDATE entasis.keep_periods SET archived = %s", [archived])


def filled_store(connection: Connection, url: str) -> Store:
    """Fill the database, mark every relation as archived, and open where that goes."""
    fill(connection)
    mark(connection)
    return open_store(url)


@pytest.fixture
def url(s3: S3Server) -> str:
    return s3.url(secrets.token_hex(4))


def prefix(store: Store) -> str:
    return store.location.rpartition("/")[2]


Rows = dict[str, list[tuple[Any, ...]]]


def live(connection: Connection, relation: str) -> list[tuple[Any, ...]]:
    columns = ", ".join(layout.LAYOUTS[relation].stored)
    return sorted(
        connection.execute(f"SELECT {columns} FROM entasis.{relation}").fetchall(), key=repr
    )


def everything(connection: Connection) -> Rows:
    return {relation: live(connection, relation) for relation in RELATIONS}


def stored(connection: Connection, store: Store, folder: Path, where: str) -> Rows:
    """Read what the archives of the manifest hold, from the store."""
    found: Rows = {relation: [] for relation in RELATIONS}
    for relation, key in connection.execute(
        "SELECT a.relation, o.key FROM entasis.archives AS a"
        " JOIN entasis.archive_objects AS o ON a.id = o.archive_id"
        f" WHERE a.superseded_at IS NULL AND {where}"
    ).fetchall():
        file = folder / "object.parquet"
        store.get(key, file)
        for row in pq.read_table(file).to_pylist():
            if (exact := row.pop("quote_volume_text", None)) is not None:
                row["quote_volume"] = Decimal(exact)
            found[relation].append(tuple(row.values()))
    return found


def all_rows(connection: Connection, store: Store, folder: Path) -> Rows:
    """Read what is live, and what was archived and dropped and is not back."""
    gone = stored(
        connection,
        store,
        folder,
        "a.dropped_at IS NOT NULL AND NOT EXISTS (SELECT FROM entasis_internal.partitions_of("
        "a.relation) AS p LEFT JOIN pg_inherits AS i ON p.partition_oid = i.inhrelid"
        " WHERE p.from_time < a.to_time AND p.to_time > a.from_time"
        " AND i.inhdetachpending IS NOT TRUE)",
    )
    found = {r: rows + gone[r] for r, rows in everything(connection).items()}
    for relation, table in connection.execute(LEFT_DETACHED).fetchall():
        columns = ", ".join(layout.LAYOUTS[relation].stored)
        found[relation] += connection.execute(f"SELECT {columns} FROM entasis.{table}").fetchall()
    return {relation: sorted(rows, key=repr) for relation, rows in found.items()}


# What a run that was killed detached and did not drop yet: the next one will, or attach it again.
# (Were its archive the record of an earlier drop, it would be counted there.)
LEFT_DETACHED = """
    SELECT s.relation, s.partition_name
    FROM entasis_internal.known_partitions AS s
    JOIN pg_class AS c
        ON c.relnamespace = 'entasis'::regnamespace AND c.relname = s.partition_name
    LEFT JOIN pg_inherits AS i ON c.oid = i.inhrelid
    WHERE i.inhdetachpending IS NOT FALSE AND NOT EXISTS (
        SELECT FROM entasis.archives AS a
        WHERE a.relation = s.relation AND a.from_time = s.from_time AND a.to_time = s.to_time
            AND a.dropped_at IS NOT NULL
    )
"""


def normal(rows: Rows) -> Rows:
    """Numbers without trailing zeros and times in UTC, so that equal ones look equal."""

    def plain(value: Any) -> Any:
        match value:
            case Decimal():
                return f"{value.normalize(oracle_context):f}" if value else "0"
            case datetime():
                return value.astimezone(UTC)
        return value

    return {
        relation: sorted((tuple(map(plain, row)) for row in found), key=repr)
        for relation, found in rows.items()
    }


with oracle.localcontext() as oracle_context:
    oracle_context.prec = 200


def assert_no_orphans(connection: Connection, s3: S3Server, store: Store) -> None:
    keys = {row[0] for row in connection.execute("SELECT key FROM entasis.archive_objects")}
    assert s3.objects(prefix(store)).keys() == keys


def one(connection: Connection, query: str, *values: object) -> Any:
    row = connection.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row[0]


def health(connection: Connection, relation: str) -> dict[str, Any]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        row = cursor.execute(
            "SELECT * FROM entasis.health WHERE relation = %s", [relation]
        ).fetchone()
    assert row is not None
    return row


# --- there and back ----------------------------------------------------------------------------


@several
@pytest.mark.parametrize("to_folder", [False, True], ids=["s3", "folder"])
@pytest.mark.parametrize("as_owner", [False, True], ids=["admin", "owner"])
def test_there_and_back(
    connection: Connection,
    login: Login,
    url: str,
    tmp_path: Path,
    to_folder: bool,
    as_owner: bool,
) -> None:
    store = open_store(f"{tmp_path.as_uri()}/archive" if to_folder else url)
    fill(connection)
    mark(connection)
    before = normal(everything(connection))
    roles = ("entasis_admin", "entasis_owner") if as_owner else ("entasis_admin",)
    admin = login(*roles)
    expired = connection.execute(
        "SELECT relation, from_time, to_time FROM entasis_internal.expired_partitions()"
    ).fetchall()

    done = archive(admin, store)
    assert sorted((a.relation, a.from_time, a.to_time) for a in done) == sorted(expired)
    assert archive(admin, store) == []
    assert normal(everything(connection)) == before
    maintain(admin)
    for relation in RELATIONS:
        assert health(connection, relation)["past_keep"] == 0
        assert health(connection, relation)["gone_without_archive"] == []
        assert len(live(connection, relation)) < len(before[relation])
    assert normal(all_rows(connection, store, tmp_path)) == before
    floors = connection.execute("SELECT * FROM entasis.floors ORDER BY 1").fetchall()

    for relation in RELATIONS:
        restore(admin, store, relation, FIRST, NOW, attach=True)
    assert normal(everything(connection)) == before
    trades = oracle.stored_trades(connection)
    assert oracle.differences(connection, trades) == []
    assert connection.execute("SELECT * FROM entasis.floors ORDER BY 1").fetchall() == floors

    # held, and then dropped once more
    maintain(admin)
    assert normal(everything(connection)) == before
    connection.execute("UPDATE entasis.restores SET held_until = now()")
    maintain(admin)
    assert all(health(connection, r)["past_keep"] == 0 for r in RELATIONS)
    assert normal(all_rows(connection, store, tmp_path)) == before
    assert one(connection, "SELECT count(*) FROM entasis.restores") == 0


@several
def test_a_range_comes_back_beside_its_relation(
    connection: Connection, login: Login, url: str
) -> None:
    store = filled_store(connection, url)
    expected = [row for row in live(connection, "market_data") if row[2] == month(6)]
    admin = login("entasis_admin")
    archive(admin, store)
    maintain(admin)
    left = everything(connection)

    (back,) = restore(admin, store, "market_data", month(6), month(6) + timedelta(days=1))
    assert (back.rows, back.attached) == (len(expected), False)
    reader = login("entasis_reader")
    columns = ", ".join(layout.LAYOUTS["market_data"].stored)
    found = reader.execute(f"SELECT {columns} FROM entasis.{back.table}").fetchall()
    assert normal({"market_data": found}) == normal({"market_data": expected})
    assert everything(connection) == left
    with pytest.raises(errors.DuplicateTable, match="was restored before"):
        restore(admin, store, "market_data", month(6), month(6) + timedelta(days=1))
    with pytest.raises(errors.InsufficientPrivilege):
        admin.execute(f"INSERT INTO entasis.{back.table} SELECT * FROM entasis.{back.table}")
    admin.execute("SELECT entasis.drop_restored(%s)", [back.table])
    assert one(connection, "SELECT to_regclass(%s)", f"entasis.{back.table}") is None
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        admin.execute("SELECT entasis.drop_restored('market_data')")
    # what is not archived, or not all of it, is not passed over
    with pytest.raises(ArchiveError, match="nothing of market_data"):
        restore(admin, store, "market_data", month(20), month(19))
    with pytest.raises(ArchiveError, match="has nothing from"):
        restore(admin, store, "market_data", month(6), month(0))
    with pytest.raises(ArchiveError, match="partly"):
        restore(admin, store, "market_data", month(6) + timedelta(days=1), month(0), attach=True)


def test_what_came_back_is_read_only_and_stands_in_nobodys_way(
    connection: Connection, database: Database, url: str
) -> None:
    store = filled_store(connection, url)
    archive(connection, store)
    maintain(connection)
    for relation in RELATIONS:
        restore(connection, store, relation, FIRST, NOW, attach=True)
    candles = oracle.stored_candles(connection)
    back = everything(connection)
    held = {relation: health(connection, relation)["past_keep"] for relation in RELATIONS}

    refused(connection, "market_data", INSERT_TRADE, 900, month(6) + timedelta(hours=1), 1)
    refused(connection, "option_data", INSERT_QUOTE, 900, month(5))
    for relation, change in (("market_data", "price = 9"), ("option_data", "iv = 9")):
        for query in (f"UPDATE entasis.{relation} SET {change}", f"DELETE FROM entasis.{relation}"):
            refused(connection, relation, f"{query} WHERE timestamp < %s", month(4))
    with (
        pytest.raises(errors.CheckViolation),
        connection.cursor() as cursor,
        cursor.copy(
            "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume) FROM STDIN"
        ) as copy,
    ):
        copy.write_row((901, "BTC", "x", month(0), 1, 1))
        copy.write_row((902, "BTC", "x", month(6) + timedelta(hours=1), 1, 1))
    assert everything(connection) == back

    # other trades come, their candles follow, and a release goes on
    new = Trade("NEW", "x", month(0), 1, Decimal(1), Decimal(1))
    assert ingest_trades(connection, [new], source="later", id_space="trade").inserted == 1
    oracle.refresh(connection)
    connection.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    migrate(database.dsn)
    assert {k: c for k, c in oracle.stored_candles(connection)["1m"].items() if k[0] != "NEW"} == (
        candles["1m"]
    )
    assert oracle.differences(connection, oracle.stored_trades(connection)) == []
    assert connection.execute("SELECT * FROM entasis.check_candles()").fetchall() == []

    # younger ranges go, past those that are held
    connection.execute(
        "UPDATE entasis.keep_periods SET keep = %s WHERE relation = 'market_data'",
        [NOW - month(0)],
    )
    assert archive(connection, store) != []
    maintain(connection)
    state = health(connection, "market_data")
    assert state["past_keep"] == held["market_data"]
    assert all("held until" in reason for reason in state["kept_because"])
    assert [row[0] for row in live(connection, "market_data") if row[2] >= month(1)] == ["NEW"]


def test_every_engine_archives_drops_and_restores_beside(
    connection: Connection, database: Database, url: str, tmp_path: Path
) -> None:
    """Whatever its partitions are, and compressed where the engine does that."""
    store = filled_store(connection, url)
    before = normal(everything(connection))
    if database.engine == "timescaledb":
        compressed = connection.execute(
            "SELECT c.relation, public.compress_chunk(c.partition_oid::regclass)"
            " FROM entasis_internal.chunks_to_compress('0') AS c"
        ).fetchall()
        assert {row[0] for row in compressed} == {"market_data", "option_data", "ohlcv_1m"}
    archive(connection, store)
    connection.execute(CHANGES["corrected"].encode(), [month(5)])
    changed = {row[3:5] for row in live(connection, "market_data")}
    maintain(connection)
    assert health(connection, "market_data")["stale_archives"] == 1
    archive(connection, store)
    maintain(connection)
    for relation in RELATIONS:
        assert health(connection, relation)["past_keep"] == 0
    rows = all_rows(connection, store, tmp_path)
    assert {row[3:5] for row in rows["market_data"]} == changed
    for relation in ("option_data", *(f"ohlcv_{level}" for level in oracle.STORED[1:])):
        assert len(normal(rows)[relation]) == len(before[relation])
    assert oracle.differences(connection, oracle.stored_trades(connection)) != []  # all are kept
    for start, end in connection.execute(
        "SELECT from_time, to_time FROM entasis.archives WHERE relation = 'market_data'"
    ).fetchall():
        (back,) = restore(connection, store, "market_data", start, end)
        columns = ", ".join(layout.LAYOUTS["market_data"].stored)
        found = connection.execute(f"SELECT {columns} FROM entasis.{back.table}").fetchall()
        expected = [row for row in rows["market_data"] if start <= row[2] < end]
        assert normal({"": found}) == normal({"": expected})


# --- the guard ---------------------------------------------------------------------------------

CHANGES = {
    "inserted": (
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " SELECT symbol, exchange, timestamp, 77, price, volume"
        " FROM entasis.market_data WHERE timestamp = %s LIMIT 1"
    ),
    "deleted": "DELETE FROM entasis.market_data WHERE timestamp = %s AND symbol = 'BTC'",
    "corrected": (
        "UPDATE entasis.market_data SET price = price + 0.000000000001"
        " WHERE timestamp = %s AND symbol = 'BTC'"
    ),
    "only when it was stored": (
        "UPDATE entasis.market_data SET created_at = created_at + interval '1 microsecond'"
        " WHERE timestamp = %s AND symbol = 'BTC'"
    ),
}


@several
@pytest.mark.parametrize("as_owner", [False, True], ids=["admin", "owner"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_after_it_was_archived_is_archived_again_before_it_goes(
    connection: Connection,
    login: Login,
    s3: S3Server,
    url: str,
    tmp_path: Path,
    change: str,
    as_owner: bool,
) -> None:
    store = filled_store(connection, url)
    admin = login("entasis_admin", *(["entasis_owner"] if as_owner else []))
    archive(admin, store)
    old = s3.objects(prefix(store)).keys()
    assert connection.execute(CHANGES[change].encode(), [month(5)]).rowcount == 1
    oracle.refresh(connection)
    before = normal(everything(connection))

    maintain(admin)
    assert normal(all_rows(connection, store, tmp_path)) == before
    assert {row[2] for row in live(connection, "market_data")} > {month(5)}
    state = health(connection, "market_data")
    assert (state["past_keep"], state["waiting_for_archive"], state["stale_archives"]) == (1, 1, 1)
    assert "archived again" in state["kept_because"][0]

    (again,) = archive(admin, store)
    assert again.relation == "market_data"
    assert again.from_time <= month(5) < again.to_time
    assert len(old - s3.objects(prefix(store)).keys()) == 1
    assert_no_orphans(connection, s3, store)
    maintain(admin)
    assert health(connection, "market_data")["past_keep"] == 0
    assert normal(all_rows(connection, store, tmp_path)) == before


def test_an_archive_run_finds_by_itself_what_changed(connection: Connection, url: str) -> None:
    store = filled_store(connection, url)
    archive(connection, store)
    connection.execute(CHANGES["corrected"].encode(), [month(5)])
    (again,) = archive(connection, store)
    assert again.relation == "market_data"
    assert again.from_time <= month(5) < again.to_time


def test_the_old_archive_stays_until_the_new_one_is_verified(
    connection: Connection, s3: S3Server, url: str
) -> None:
    store = filled_store(connection, url)
    archive(connection, store)
    old = s3.objects(prefix(store)).keys()
    connection.execute(CHANGES["corrected"].encode(), [month(5)])
    with pytest.raises(StoreError):
        archive(connection, Faulty(store, "get", "refuse"))
    assert s3.objects(prefix(store)).keys() >= old
    assert one(connection, "SELECT count(*) FROM entasis.archives WHERE superseded_at IS NULL") > 0


@several
def test_nothing_is_dropped_without_an_archive(connection: Connection, login: Login) -> None:
    fill(connection)
    mark(connection)
    before = everything(connection)
    for roles in (("entasis_admin",), ("entasis_admin", "entasis_owner")):
        maintain(login(*roles))
        assert everything(connection) == before
    relation, name = connection.execute(
        "SELECT relation, partition_name FROM entasis_internal.expired_partitions()"
    ).fetchall()[0]
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="no verified archive"):
        connection.execute("SELECT entasis_internal.drop_partition(%s, %s)", [relation, name])
    assert health(connection, "market_data")["waiting_for_archive"] == 3


@several
def test_rows_that_an_old_snapshot_does_not_show_are_not_dropped(
    connection: Connection, database: Database, url: str
) -> None:
    fill(connection)
    mark(connection)
    archive(connection, open_store(url))
    name = one(
        connection,
        "SELECT partition_name FROM entasis.partitions WHERE relation = 'market_data'"
        " AND from_time <= %s AND to_time > %s",
        month(14),
        month(14),
    )
    with database.connect(autocommit=False) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT count(*) FROM entasis.market_data")
        connection.execute(CHANGES["inserted"].encode(), [month(14)])
        with pytest.raises(errors.InvalidTransactionState, match="READ COMMITTED"):
            old.execute("SELECT entasis_internal.drop_partition('market_data', %s)", [name])
        old.rollback()


@several
@pytest.mark.parametrize("as_owner", [False, True], ids=["admin", "owner"])
def test_a_writer_who_has_not_committed_yet_is_not_passed_over(
    connection: Connection, database: Database, url: str, tmp_path: Path, as_owner: bool
) -> None:
    store = filled_store(connection, url)
    archive(connection, store)
    with database.connect() as writer, database.connect() as worker, ThreadPoolExecutor(1) as pool:
        with writer.transaction():
            writer.execute(CHANGES["inserted"].encode(), [month(14)])
            if as_owner:
                running = pool.submit(maintain, worker)
            else:
                running = pool.submit(lambda: worker.execute("CALL entasis.maintain()"))
            for _ in range(1500):
                if one(connection, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    break
                threading.Event().wait(0.01)
            else:
                raise AssertionError("maintenance did not wait for the writer")
        running.result(60)
    rows = normal(all_rows(connection, store, tmp_path))
    assert sum(row[3] == 77 for row in rows["market_data"]) == 1
    assert one(connection, "SELECT count(*) FROM entasis.market_data WHERE id = 77") == 1


@several
def test_what_arrives_while_its_partition_is_being_detached_is_not_lost(
    connection: Connection, database: Database, url: str, tmp_path: Path
) -> None:
    if database.engine == "timescaledb":
        pytest.skip("a chunk is dropped without being detached before")
    store = filled_store(connection, url)
    archive(connection, store)
    said: list[str] = []

    def late(line: str) -> None:
        said.append(line)
        if len(said) == 1:
            connection.execute(CHANGES["inserted"].encode(), [month(14)])

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
    connection: Connection, url: str
) -> None:
    store = filled_store(connection, url)
    archive(connection, store)
    maintain(connection)
    (back, *_) = restore(connection, store, "market_data", FIRST, NOW, attach=True)
    connection.execute("SET session_replication_role = replica")  # fires no trigger
    connection.execute(f"DELETE FROM entasis.{back.table}")
    connection.execute("RESET session_replication_role")
    connection.execute("UPDATE entasis.restores SET held_until = now()")
    said: list[str] = []
    assert archive(connection, store, lambda event: said.append(str(event))) == []
    assert any("its archive is not replaced" in line for line in said)
    maintain(connection)
    assert one(connection, "SELECT to_regclass(%s)::text", f"entasis.{back.table}") is not None


def test_a_partition_that_an_owner_dropped_shows(connection: Connection) -> None:
    fill(connection)
    mark(connection)
    maintain(connection)
    relation, oid, start, end = connection.execute(
        "SELECT relation, partition_oid::regclass::text, from_time, to_time"
        " FROM entasis_internal.expired_partitions() WHERE relation = 'market_data'"
    ).fetchall()[0]
    assert health(connection, relation)["gone_without_archive"] == []
    connection.execute(f"DROP TABLE {oid}")
    (gone,) = health(connection, relation)["gone_without_archive"]
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
    made_ahead = database.engine == "timescaledb"
    assert health(connection, "market_data")["partitions_reach_ahead"] is made_ahead


def test_without_the_mark_nothing_is_archived_and_maintenance_drops(
    connection: Connection, url: str
) -> None:
    fill(connection)
    assert archive(connection, open_store(url)) == []
    maintain(connection)
    assert health(connection, "market_data")["past_keep"] == 0
    assert health(connection, "market_data")["gone_without_archive"] == []


@several
@pytest.mark.parametrize("role", ["entasis_reader", "entasis_writer"])
def test_others_may_not(
    connection: Connection, login: Login, url: str, role: str, tmp_path: Path
) -> None:
    fill(connection)
    mark(connection)
    with pytest.raises(errors.InsufficientPrivilege):
        archive(login(role), open_store(url))
    for statement in (
        "SELECT * FROM entasis.archives",
        "SELECT * FROM entasis.health",
        "SELECT entasis_internal.archive_begin('market_data', now(), now(), '')",
        "SELECT entasis_internal.restore_begin('market_data', now(), now())",
        "SELECT entasis_internal.attach_restored('x', '1 day')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            login(role).execute(statement.encode())


@several
def test_an_administrator_does_not_write_the_manifest(connection: Connection, login: Login) -> None:
    admin = login("entasis_admin")
    fill(connection)
    mark(connection)
    for statement in (
        "UPDATE entasis.archives SET row_count = 0",
        "DELETE FROM entasis.archive_objects",
        "INSERT INTO entasis.restores (table_name) VALUES ('x')",
        "UPDATE entasis_internal.known_partitions SET seen_at = now()",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            admin.execute(statement.encode())
    relation, start, end = connection.execute(
        "SELECT relation, from_time, to_time FROM entasis_internal.expired_partitions()"
    ).fetchall()[0]
    begun = one(
        admin, "SELECT id FROM entasis_internal.archive_begin(%s, %s, %s, '')", relation, start, end
    )
    # it is not believed either: these are not the rows
    assert not one(admin, "SELECT entasis_internal.archive_verified(%s, 3, 12345, '[]')", begun)
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        admin.execute(
            "SELECT entasis_internal.archive_begin('market_data', %s, %s, '')", [month(1), month(0)]
        )


def test_no_credential_is_told_or_kept(
    connection: Connection, s3: S3Server, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hunter2hunter2"
    for bad in (
        f"s3://key:{secret}@bucket/x",
        f"s3://bucket/x?endpoint_url=http://key:{secret}@127.0.0.1:1",
        f"s3://bucket/x?aws_secret_access_key={secret}",
        f"s3://bucket/x?{secret}",
        f"ftp://{secret}",
        f"s3://bucket/x?sse={secret}",
        f"file://{secret}/x",
        f"file:///x?{secret}=1",
        f"s3://[{secret}/x",
    ):
        with pytest.raises(StoreError) as caught:
            open_store(bad)
        assert secret not in str(caught.value)
    with caplog.at_level("DEBUG", logger="entasis_db"):
        fill(connection)
        mark(connection)
        archive(connection, open_store(url))
    kept = connection.execute(
        "SELECT a::text || o::text FROM entasis.archives AS a, entasis.archive_objects AS o"
        " UNION ALL SELECT l::text FROM entasis.maintenance_log AS l"
    ).fetchall()
    for told in (str(kept), caplog.text):
        assert s3.access_key not in told
        assert s3.secret_key not in told


def test_wrong_credentials_and_a_missing_bucket_are_said(
    connection: Connection, s3: S3Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connection)
    mark(connection)
    with pytest.raises(StoreError, match="NoSuchBucket"):
        archive(connection, open_store(url.replace("s3://history", "s3://nowhere")))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError, match=r"SignatureDoesNotMatch|403|AccessDenied") as caught:
        archive(connection, open_store(url))
    assert s3.access_key not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("sse=AES256", {"x-amz-server-side-encryption": "AES256"}),
        (
            "sse=aws:kms&kms_key_id=our-key",
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": "our-key",
            },
        ),
    ],
)
def test_encryption_is_asked_for(
    s3: S3Server, tmp_path: Path, options: str, expected: dict[str, str]
) -> None:
    heard: list[dict[str, str]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            heard.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    file = tmp_path / "file"
    file.write_bytes(b"content")
    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            endpoint = f"endpoint_url=http://127.0.0.1:{listener.server_port}&region=eu-west-1"
            open_store(f"s3://bucket/x?{endpoint}&{options}").put("key", file)
        finally:
            listener.shutdown()
            thread.join()
    (headers,) = heard
    assert expected.items() <= headers.items()


def test_large_objects_go_in_parts_and_a_dead_upload_is_aborted(
    s3: S3Server, url: str, tmp_path: Path
) -> None:
    store = open_store(url)
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(secrets.token_bytes(20 * 2**20))
    store.put("a/x-0", file)
    store.get("a/x-0", back)
    assert back.read_bytes() == file.read_bytes()
    client: Any = store._client  # type: ignore[attr-defined]
    client.create_multipart_upload(Bucket="history", Key=f"{prefix(store)}/a/x-1")
    store.put("a/y-0", file)
    store.discard("a/x-")
    assert s3.objects(prefix(store)).keys() == {"a/y-0"}
    assert "Uploads" not in client.list_multipart_uploads(Bucket="history", Prefix=prefix(store))


# --- faults ------------------------------------------------------------------------------------


class KilledError(Exception):
    """The process ends here."""


def mortal(kill_at: int) -> type[Connection]:
    """Make a connection that is lost right before its exchange of that number with the server."""
    count = 0

    class Mortal(psycopg.Connection[Any]):
        def wait(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == kill_at and not self.closed:
                self.pgconn.finish()
            if count >= kill_at:
                raise KilledError
            return super().wait(*args, **kwargs)

    return Mortal


def wait_for_the_dead(connection: Connection) -> None:
    """Wait until the server has noticed that the other connection is gone."""
    for _ in range(1500):
        if not one(
            connection,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        ):
            return
        threading.Event().wait(0.01)
    raise AssertionError("the server still has the dead connection")


@dataclasses.dataclass
class Faulty:
    """A real store that fails once, at its call of that number."""

    store: Store
    call: str
    fault: str
    at: int = 1
    calls: int = 0

    @property
    def location(self) -> str:
        return self.store.location

    def put(self, key: str, file: Path) -> None:
        if self._now("put"):
            if self.fault == "refuse":
                raise StoreError("the store refused")
            if self.fault == "kill before":
                raise KilledError
            content = file.read_bytes()
            if self.fault == "truncate":
                file.write_bytes(content[: len(content) // 2])
            if self.fault == "corrupt":
                middle = len(content) // 2
                flipped = bytes([content[middle] ^ 1])
                file.write_bytes(content[:middle] + flipped + content[middle + 1 :])
            self.store.put(key, file)
            if self.fault == "kill after":
                raise KilledError
            return
        self.store.put(key, file)

    def get(self, key: str, file: Path) -> None:
        if self._now("get"):
            if self.fault.startswith("kill"):
                raise KilledError
            raise StoreError("the store refused")
        self.store.get(key, file)

    def discard(self, prefix: str) -> None:
        if self._now("discard"):
            if self.fault == "kill after":
                self.store.discard(prefix)
            if self.fault.startswith("kill"):
                raise KilledError
            raise StoreError("the store refused")
        self.store.discard(prefix)

    def _now(self, call: str) -> bool:
        self.calls += call == self.call
        return call == self.call and self.calls == self.at


FAULTS = [
    *(("put", fault) for fault in ("refuse", "truncate", "corrupt", "kill before", "kill after")),
    *(("get", fault) for fault in ("refuse", "kill before")),
]


@pytest.mark.parametrize(("call", "fault"), FAULTS)
def test_a_store_that_fails_costs_nothing(
    connection: Connection, s3: S3Server, url: str, tmp_path: Path, call: str, fault: str
) -> None:
    store = filled_store(connection, url)
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
    connection: Connection, s3: S3Server, url: str
) -> None:
    store = filled_store(connection, url)
    for _ in range(3):
        with pytest.raises(KilledError):
            archive(connection, Faulty(store, "put", "kill after"))
        assert len(s3.objects(prefix(store))) == 1


def test_an_archive_that_rotted_is_not_restored(
    connection: Connection, s3: S3Server, url: str
) -> None:
    store = filled_store(connection, url)
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
    connection: Connection, url: str
) -> None:
    store = filled_store(connection, url)
    archive(connection, store)
    maintain(connection)
    before = everything(connection)
    connection.execute("UPDATE entasis.archives SET checksum = checksum + 1")
    with pytest.raises(ArchiveError, match=r"not the .* of the manifest"):
        restore(connection, store, "market_data", FIRST, NOW, attach=True)
    assert everything(connection) == before


@several
def test_two_runs_at_once_are_refused(connection: Connection, database: Database, url: str) -> None:
    fill(connection)
    mark(connection)
    refused: list[str] = []

    def other(_: object) -> None:
        if refused:
            return
        with database.connect() as second, pytest.raises(ArchiveError, match="another") as caught:
            archive(second, open_store(url))
        refused.append(str(caught.value))

    archive(connection, open_store(url), other)
    assert refused
    with database.connect(autocommit=False) as careless:
        with pytest.raises(ValueError, match="autocommit"):
            archive(careless, open_store(url))
        with pytest.raises(ValueError, match="autocommit"):
            restore(careless, open_store(url), "market_data", FIRST, NOW)


@several
def test_rows_that_arrive_while_their_range_is_written_are_in_the_archive(
    connection: Connection, database: Database, s3: S3Server, url: str, tmp_path: Path
) -> None:
    store = filled_store(connection, url)
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
    connection: Connection, database: Database, s3: S3Server, url: str
) -> None:
    store = filled_store(connection, url)

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
    connection: Connection, s3: S3Server, url: str
) -> None:
    store = filled_store(connection, url)
    connection.execute(
        "UPDATE entasis.market_data SET created_at = 'infinity' WHERE timestamp = %s", [month(6)]
    )
    with pytest.raises(ArchiveError, match="1 ranges could not be archived"):
        archive(connection, store)
    # none that is younger goes either, which would leave its rows below the floor
    stays = one(
        connection,
        "SELECT count(*) FROM entasis.partitions AS p"
        " WHERE p.relation = 'market_data' AND p.past_keep AND p.to_time > %s",
        month(6),
    )
    maintain(connection)
    assert_no_orphans(connection, s3, store)
    assert health(connection, "market_data")["past_keep"] == stays > 0
    assert health(connection, "option_data")["past_keep"] == 0


def test_a_partition_without_a_lower_bound_is_said_and_stays(
    connection: Connection, database: Database, url: str
) -> None:
    if database.engine != "postgresql":
        pytest.skip("such partitions belong to engine postgresql")
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
def test_a_process_that_is_killed(
    connection: Connection, database: Database, s3: S3Server, url: str, tmp_path: Path
) -> None:
    store = filled_store(connection, url)
    before = normal(everything(connection))
    verified = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-m", "entasis_db.cli", "archive", "--to", url],
            env={**os.environ, "DATABASE_URL": database.dsn},
            stdout=subprocess.DEVNULL,
        )
        # killed with something written that nobody vouches for yet
        while process.poll() is None:
            done = one(connection, "SELECT count(verified_at) FROM entasis.archives")
            if done > verified:
                process.kill()
        if process.wait() == 0:
            break
        verified = one(connection, "SELECT count(verified_at) FROM entasis.archives")
        wait_for_the_dead(connection)
    maintain(connection)
    assert_no_orphans(connection, s3, store)
    assert all(health(connection, r)["past_keep"] == 0 for r in RELATIONS)
    assert normal(all_rows(connection, store, tmp_path)) == before


@several
def test_killed_anywhere_the_next_run_completes_it(
    server: Server, s3: S3Server, tmp_path: Path
) -> None:
    """Before each exchange with the server that an archive run, a drop and a restore have."""
    with server.database() as lent, lent.connect() as connected:
        store = open_store(s3.url(secrets.token_hex(4)))
        fill(connected)
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

        until_done(lambda c: archive(c, store), 1)
        assert_no_orphans(connected, s3, store)
        until_done(maintain, 1)
        assert all(health(connected, r)["past_keep"] == 0 for r in RELATIONS)
        for relation in RELATIONS:
            until_done(lambda c, r=relation: restore(c, store, r, FIRST, NOW, attach=True), 1)
        assert normal(everything(connected)) == before


# --- the property ------------------------------------------------------------------------------

MONTHS = tuple(range(1, 8))
times = st.builds(
    lambda back, minute: month(back) + timedelta(minutes=minute),
    st.sampled_from(MONTHS),
    st.integers(0, 3),
)
numbers = st.decimals(
    min_value=Decimal("0.000000000001"), max_value=Decimal("999999999999"), places=12
) | st.sampled_from([Decimal(1), Decimal("1.50"), HUGE])
trades = st.builds(
    Trade, st.sampled_from(["A", "B"]), st.just("x"), times, st.integers(0, 3), numbers, numbers
)
greeks = st.none() | st.decimals(
    min_value=Decimal("-999999999999"), max_value=Decimal("999999999999"), places=18
)
quotes = st.builds(
    lambda time, number, greek: quote(time, number, gamma=greek), times, st.integers(0, 1), greeks
)
faults = st.none() | st.tuples(
    st.sampled_from([*FAULTS, ("discard", "kill before"), ("discard", "kill after")]),
    st.integers(1, 3),
)
kills = st.none() | st.integers(1, 150)
steps = st.one_of(
    st.tuples(st.just("trades"), st.lists(trades, max_size=5)),
    st.tuples(st.just("quotes"), st.lists(quotes, max_size=3)),
    st.tuples(st.just("correct"), st.sampled_from(MONTHS)),
    st.tuples(st.just("delete"), st.sampled_from(MONTHS)),
    st.tuples(st.just("keep"), st.integers(1, 6), st.integers(0, 6)),
    st.tuples(st.just("archive"), faults, kills, st.lists(trades, max_size=2)),
    st.tuples(st.just("maintain"), st.booleans(), kills),
    st.tuples(st.just("restore"), st.sampled_from(RELATIONS), kills),
    st.tuples(st.just("release")),
)


class World:
    """A database with its archive, and what was ever accepted by it."""

    def __init__(self, database: Database, connection: Connection, store: Store, folder: Path):
        self.database = database
        self.connection = connection
        self.store = store
        self.folder = folder
        self.trades: dict[oracle.TradeKey, tuple[Decimal, Decimal]] = {}
        self.quotes: dict[tuple[datetime, int], Decimal | None] = {}

    def insert_trades(self, found: list[Trade]) -> None:
        for trade in found:
            with contextlib.suppress(errors.CheckViolation):  # below the floor
                with self.connection.transaction():
                    self.connection.execute(
                        "SELECT entasis.ensure_partitions('market_data', %s, %s)",
                        [trade.timestamp, trade.timestamp + timedelta(minutes=1)],
                    )
                    stored = self.connection.execute(
                        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price,"
                        " volume) VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                        trade,
                    ).rowcount
                if stored:
                    self.trades[trade[:4]] = (trade.price, trade.volume)

    def insert_quotes(self, found: list[OptionQuote]) -> None:
        for q in found:
            with contextlib.suppress(errors.CheckViolation):
                with self.connection.transaction():
                    self.connection.execute(
                        "SELECT entasis.ensure_partitions('option_data', %s, %s)",
                        [q.timestamp, q.timestamp + timedelta(minutes=1)],
                    )
                    stored = self.connection.execute(
                        "INSERT INTO entasis.option_data (underlying, strike_price, expiry_date,"
                        " option_type, timestamp, id, gamma) VALUES (%s, %s, %s, %s, %s, %s, %s)"
                        " ON CONFLICT DO NOTHING",
                        [*q[:6], q.gamma],
                    ).rowcount
                if stored:
                    self.quotes[q.timestamp, q.id] = q.gamma

    def change(self, back: int, statement: str) -> None:
        with contextlib.suppress(errors.CheckViolation):
            changed = self.connection.execute(
                f"{statement} WHERE timestamp >= %s AND timestamp < %s"
                " RETURNING symbol, exchange, timestamp, id, price, volume".encode(),
                [month(back), month(back - 1)],
            ).fetchall()
            for symbol, exchange, time, number, price, volume in changed:
                key = (symbol, exchange, time.astimezone(UTC), number)
                if statement.startswith("DELETE"):
                    del self.trades[key]
                else:
                    self.trades[key] = (price, volume)

    def run(self, kill_at: int | None, step: Any) -> None:
        """Run a step, in a process that may die."""
        kind = psycopg.Connection if kill_at is None else mortal(kill_at)
        connected = kind.connect(self.database.dsn, autocommit=True)
        try:
            with contextlib.suppress(KilledError, StoreError):
                step(connected)
        finally:
            connected.pgconn.finish()
        wait_for_the_dead(self.connection)

    def archive(self, fault: Any, kill_at: int | None, arriving: list[Trade]) -> None:
        store: Any = self.store
        if fault is not None:
            (call, kind), at = fault
            store = Faulty(self.store, call, kind, at)
        waiting = [arriving] if arriving else []

        def progress(event: Any) -> None:
            if waiting and "comparing" in event.step:
                self.insert_trades(waiting.pop())

        self.run(kill_at, lambda c: archive(c, store, progress))

    def maintain(self, as_owner: bool, kill_at: int | None) -> None:
        if as_owner:
            self.run(kill_at, maintain)
        else:
            self.run(kill_at, lambda c: c.execute("CALL entasis.maintain()"))

    def restore(self, relation: str, kill_at: int | None) -> None:
        def step(connection: Connection) -> None:
            with contextlib.suppress(ArchiveError):
                restore(connection, self.store, relation, FIRST, NOW, attach=True)

        self.run(kill_at, step)

    def expected(self) -> Rows:
        candle_rows = {
            f"ohlcv_{level}": [(*k, *c) for k, c in oracle.candles(self.trades, level).items()]
            for level in oracle.STORED
        }
        return normal(
            {
                "market_data": [(*key, *values) for key, values in self.trades.items()],
                "option_data": [
                    ("ETH", month(0), Decimal("3000.50"), "put", *k, None, None, g, None, None)
                    for k, g in self.quotes.items()
                ],
                **candle_rows,
            }
        )

    def check(self, rows: Rows) -> None:
        # created_at is not known to the model
        rows = {**rows, "market_data": [row[:6] for row in rows["market_data"]]}
        assert normal(rows) == self.expected()


@several
@given(keep=st.integers(1, 6), played=st.lists(steps, min_size=3, max_size=12))
def test_every_row_that_was_accepted_is_there_exactly_once(
    server: Server,
    s3: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
    keep: int,
    played: list[tuple[Any, ...]],
) -> None:
    with server.database() as lent, lent.connect() as connected:
        store = open_store(s3.url(secrets.token_hex(6)))
        world = World(lent, connected, store, tmp_path_factory.getbasetemp())

        def set_keep(raw: int, more: int) -> None:
            connected.execute(
                "UPDATE entasis.keep_periods SET archived = true, keep = make_interval(months =>"
                " CASE WHEN relation LIKE 'ohlcv%%' THEN %s ELSE %s END)",
                [raw + more, raw],
            )

        set_keep(keep, 1)
        world.insert_trades([Trade("A", "x", month(7), 0, HUGE, HUGE)])
        for step, *values in played:
            match step:
                case "trades":
                    world.insert_trades(*values)
                case "quotes":
                    world.insert_quotes(*values)
                case "correct":
                    world.change(*values, "UPDATE entasis.market_data SET volume = 2")
                case "delete":
                    world.change(*values, "DELETE FROM entasis.market_data")
                case "keep":
                    set_keep(*values)
                case "archive":
                    world.archive(*values)
                case "maintain":
                    world.maintain(*values)
                case "restore":
                    world.restore(*values)
                case "release":
                    connected.execute("UPDATE entasis.restores SET held_until = now()")
                    connected.execute("DELETE FROM entasis.restores WHERE attached_at IS NULL")
            if step in ("archive", "maintain", "restore"):
                oracle.refresh(connected)
                world.check(all_rows(connected, store, world.folder))

        oracle.refresh(connected)
        # undisturbed, everything that is past its keep period goes, and all of it comes back
        world.archive(None, None, [])
        connected.execute(
            "UPDATE entasis.restores SET held_until = now() WHERE attached_at < now()"
        )
        world.maintain(True, None)
        world.check(all_rows(connected, store, world.folder))
        assert_no_orphans(connected, s3, store)
        for relation in RELATIONS:
            assert health(connected, relation)["waiting_for_archive"] == 0
            assert health(connected, relation)["gone_without_archive"] == []
            world.restore(relation, None)
        world.check(everything(connected))


# --- content and layout ------------------------------------------------------------------------

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
moments = st.integers(0, 10**15).map(lambda n: FIRST + timedelta(microseconds=n))
ids = st.integers(-(2**63), 2**63 - 1)
zeros = st.integers(0, 6)


def with_zeros(number: Decimal, count: int) -> Decimal:
    return Decimal(f"{number:f}" + ("" if "." in f"{number:f}" else ".") + "0" * count)


@example(
    rows=[("A", "x", FIRST, 1, Decimal("1.50"), Decimal(7), NOW, 3)],
    options=[('Ü,\n"', FIRST, Decimal("3000.50"), NOW, 1, None, Decimal("-0.50"), 0)],
    sums=[("A", "x", FIRST, HUGE * 10**12, 1), ("B", "x", FIRST, Decimal("1.50"), 1)],
)
@given(
    rows=st.lists(
        st.tuples(text, text, moments, ids, numbers, numbers, moments, zeros), max_size=6
    ),
    options=st.lists(
        st.tuples(text, moments, numbers, moments, ids, greeks, greeks, zeros), max_size=6
    ),
    sums=st.lists(
        st.tuples(text, text, moments, numbers, ids)
        | st.tuples(text, text, moments, st.just(HUGE * 10**12), ids),
        max_size=6,
    ),
)
def test_the_checksum_is_that_of_the_rows_and_parquet_holds_every_digit(
    server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    options: list[Any],
    sums: list[Any],
) -> None:
    """SQL over the tables, and Python over the Parquet, in any order and with any zeros."""
    with server.database() as lent, lent.connect() as connection:
        for relation in ("market_data", "option_data", "ohlcv_1m"):
            connection.execute(
                f"CREATE TABLE public.{relation} (LIKE entasis.{relation} INCLUDING DEFAULTS)"
            )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO public.market_data (symbol, exchange, timestamp, id, price, volume,"
                " created_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [(*r[:4], with_zeros(r[4], r[7]), with_zeros(r[5], r[7]), r[6]) for r in rows],
            )
            cursor.executemany(
                "INSERT INTO public.option_data (underlying, expiry_date, strike_price,"
                " option_type, timestamp, id, gamma, vega)"
                " VALUES (%s, %s, %s, 'call', %s, %s, %s, %s)",
                [o[:7] for o in options],
            )
            cursor.executemany(
                "INSERT INTO public.ohlcv_1m VALUES (%s, %s, %s, 1, 2.50, 1, 1, 7, %s, 1,"
                " '2020-01-01Z', %s, '2020-01-01Z', 1)",
                sums,
            )
        file = tmp_path_factory.getbasetemp() / "content.parquet"
        for relation, found in (
            ("market_data", rows),
            ("option_data", options),
            ("ohlcv_1m", sums),
        ):
            form = layout.LAYOUTS[relation]
            writer = layout.ObjectWriter(form, file, {})
            with (
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy(
                    f"COPY (SELECT {form.expressions()} FROM public.{relation} AS r"  # type: ignore[arg-type]
                    " ORDER BY random()) TO STDOUT (FORMAT csv)"
                ) as copy,
            ):
                lines = list(copy)
            if lines:
                writer.write(layout.parsed(form, lines))
            writer.close()
            content = layout.Content()
            for table in layout.row_groups(form, file):
                content.add(form, table)
            (expected,) = connection.execute(
                "SELECT row_count, checksum FROM entasis_internal.count_and_checksum("
                "%s::regclass, %s, '-infinity', 'infinity')",
                [f"public.{relation}", relation],
            ).fetchall()
            assert (content.rows, content.checksum) == expected
            assert content.rows == len(found)


def test_a_reader_of_one_market_and_one_day_reads_little(tmp_path: Path) -> None:
    """Row groups tell by their statistics that they hold none of it."""
    form = layout.LAYOUTS["market_data"]
    file = tmp_path / "object.parquet"
    writer = layout.ObjectWriter(form, file, {})
    days, markets = 30, 20
    rows = layout.ROW_GROUP * 8
    a_market = rows // markets
    step = timedelta(days=days) / a_market
    lines = [
        f"S{n // a_market:02},x,{month(6) + n % a_market * step:%Y-%m-%d %H:%M:%S.%f}+00,{n},1,1,"
        "2026-01-01 00:00:00+00\n".encode()
        for n in range(rows)
    ]
    for begin in range(0, rows, layout.ROW_GROUP):
        writer.write(layout.parsed(form, lines[begin : begin + layout.ROW_GROUP]))
    writer.close()
    day = (month(6) + timedelta(days=10), month(6) + timedelta(days=11))
    metadata = pq.ParquetFile(file).metadata
    touched = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        symbol, _, time = (group.column(n).statistics for n in range(3))
        touched += symbol.min <= "S07" <= symbol.max and time.min < day[1] and time.max >= day[0]
    assert metadata.num_row_groups == 8
    # its trades of that day may stand on both sides of one boundary, and its symbol too
    assert 1 <= touched <= 2


# --- real data ---------------------------------------------------------------------------------


@pytest.mark.samples
def test_real_trades_and_quotes_there_and_back(
    connection: Connection, s3: S3Server, url: str, samples: Path
) -> None:
    store = open_store(url)
    for name in ("trades_binance_2024-08-08.csv.gz", "trades_phemex_2021-07-03.csv.gz"):
        load_trades(connection, samples / name)
    load_options(connection, samples / "options_spy_2021.csv.gz")
    oracle.refresh(connection)
    mark(connection)
    before = everything(connection)
    candles = oracle.stored_candles(connection)
    expected = connection.execute(
        "SELECT symbol, count(*), sum(volume), min(price), max(price) FROM entasis.market_data"
        " WHERE exchange ILIKE 'binance%' AND timestamp >= '2024-08-08Z'"
        " AND timestamp < '2024-08-09Z' GROUP BY symbol ORDER BY symbol"
    ).fetchall()
    deltas = connection.execute(
        "SELECT count(*), sum(delta), sum(iv), sum(vega) FROM entasis.option_data"
    ).fetchall()
    assert len(expected) > 1

    archive(connection, store)
    maintain(connection)
    assert not any(everything(connection).values())

    lake = s3.duckdb()
    found = lake.execute(
        "SELECT symbol, count(*), sum(volume), min(price), max(price)"
        " FROM read_parquet($files, hive_partitioning = true) WHERE exchange ILIKE 'binance%'"
        " AND year = 2024 AND month = 8 AND timestamp >= '2024-08-08 00:00:00+00'"
        " AND timestamp < '2024-08-09 00:00:00+00' GROUP BY symbol ORDER BY symbol",
        {"files": s3.for_duckdb(prefix(store), "market_data")},
    ).fetchall()
    assert found == expected
    found = lake.execute(
        "SELECT count(*), sum(delta), sum(iv), sum(vega) FROM read_parquet($files)",
        {"files": s3.for_duckdb(prefix(store), "option_data")},
    ).fetchall()
    assert found == deltas
    files = [str(f) for k, f in s3.objects(prefix(store)).items() if k.startswith("market_data")]
    lazy = pl.scan_parquet(files).group_by("symbol").agg(pl.len())
    counts = Counter(row[0] for row in before["market_data"])
    assert Counter(dict(lazy.collect().iter_rows())) == counts

    for relation in RELATIONS:
        restore(connection, store, relation, FIRST, NOW, attach=True)
    assert normal(everything(connection)) == normal(before)
    assert oracle.stored_candles(connection) == candles
    assert oracle.differences(connection, oracle.stored_trades(connection)) == []


# --- the command line --------------------------------------------------------------------------


@several
def test_the_command_line(
    database: Database, connection: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--database", database.dsn, *arguments])
        return result.exit_code, result.output

    monkeypatch.delenv("ENTASIS_ARCHIVE_URL", raising=False)
    fill(connection)
    code, said = run("archive")
    assert (code, "ENTASIS_ARCHIVE_URL" in said) == (2, True)
    monkeypatch.setenv("ENTASIS_ARCHIVE_URL", url)
    code, said = run("archive")
    assert (code, "SET archived = true" in said) == (0, True)
    assert run("archive", "list") == (0, "nothing is archived\n")
    mark(connection)
    code, said = run("archive")
    assert code == 0
    # on no terminal, one line a result
    assert len(said.splitlines()) == 8
    assert "market_data from" in said
    assert "7 ranges archived" in said
    assert run("maintain")[0] == 0
    code, said = run("archive", "list")
    assert (code, said.count("dropped")) == (0, 7)
    ranges = connection.execute(
        "SELECT from_time, to_time, row_count FROM entasis.archives"
        " WHERE relation = 'market_data' ORDER BY from_time"
    ).fetchall()
    start, end, count = ranges[0]
    code, said = run("restore", "market_data", f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}")
    assert (code, f"{count} rows are back" in said) == (0, True)
    end = ranges[-1][1]
    total = sum(row[2] for row in ranges)
    code, said = run("restore", "market_data", "2009-01-01", f"{end:%Y-%m-%d}", "--attach")
    assert (code, f"{total} rows are back" in said) == (0, True)
    code, said = run("restore", "nothing", "2009-01-01", "2010-01-01")
    assert (code, "is not archived" in said) == (1, True)
    code, said = run("archive", "--to", "s3://key:secret@bucket/x")
    assert (code, "secret" in said.replace("credentials", "")) == (1, False)
