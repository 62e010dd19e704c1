"""The archive: everything comes back as it was."""

import gzip
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from psycopg import errors

from entasis_db.archive import Store, archive, layout, open_store, restore
from entasis_db.cli import main
from entasis_db.errors import ArchiveError
from entasis_db.ingest import ingest_trades, load_options, load_trades
from entasis_db.maintenance import maintain
from entasis_db.migrate import migrate
from entasis_db.model import Trade
from tests import oracle
from tests.conftest import Login
from tests.contract.archive.support import (
    CHANGES,
    FIRST,
    NOW,
    RELATIONS,
    all_rows,
    everything,
    live,
    mark,
    normal,
    prefix,
    several,
)
from tests.db import Connection, health, one, refused
from tests.engines import Database
from tests.make import INSERT_QUOTE, INSERT_TRADE, months_ago
from tests.s3 import S3Server

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]


# --- there and back ------------------------------------------------------------------------------


@several
@pytest.mark.parametrize("to_folder", [False, True], ids=["s3", "folder"])
@pytest.mark.parametrize(
    "as_owner", [pytest.param(False, marks=pytest.mark.long), True], ids=["admin", "owner"]
)
def test_there_and_back(
    filled: Connection, login: Login, url: str, tmp_path: Path, to_folder: bool, as_owner: bool
) -> None:
    store = open_store(f"{tmp_path.as_uri()}/archive" if to_folder else url)
    mark(filled)
    before = normal(everything(filled))
    roles = ("entasis_admin", "entasis_owner") if as_owner else ("entasis_admin",)
    admin = login(*roles)
    expired = filled.execute(
        "SELECT relation, from_time, to_time FROM entasis_internal.expired_partitions()"
    ).fetchall()

    done = archive(admin, store)
    assert sorted((a.relation, a.from_time, a.to_time) for a in done) == sorted(expired)
    assert archive(admin, store) == []
    assert normal(everything(filled)) == before
    maintain(admin)
    for relation in RELATIONS:
        assert health(filled, relation)["past_keep"] == 0
        assert health(filled, relation)["gone_without_archive"] == []
        assert len(live(filled, relation)) < len(before[relation])
    assert normal(all_rows(filled, store, tmp_path)) == before
    floors = filled.execute(_FLOORS).fetchall()

    for relation in RELATIONS:
        restore(admin, store, relation, FIRST, NOW, attach=True)
    assert normal(everything(filled)) == before
    trades = oracle.stored_trades(filled)
    assert oracle.differences(filled, trades) == []
    assert filled.execute(_FLOORS).fetchall() == floors

    # held, and then dropped once more
    maintain(admin)
    assert normal(everything(filled)) == before
    filled.execute("UPDATE entasis.restores SET held_until = now()")
    maintain(admin)
    assert all(health(filled, r)["past_keep"] == 0 for r in RELATIONS)
    assert normal(all_rows(filled, store, tmp_path)) == before
    assert one(filled, "SELECT count(*) FROM entasis.restores") == 0


_FLOORS = "SELECT * FROM entasis.floors WHERE isfinite(floor) ORDER BY 1"


@several
def test_a_range_comes_back_beside_its_relation(
    connection: Connection, store: Store, login: Login
) -> None:
    expected = [row for row in live(connection, "market_data") if row[2] == months_ago(6)]
    admin = login("entasis_admin")
    archive(admin, store)
    maintain(admin)
    left = everything(connection)

    (back,) = restore(admin, store, "market_data", months_ago(6), months_ago(6) + timedelta(days=1))
    assert (back.rows, back.attached) == (len(expected), False)
    reader = login("entasis_reader")
    columns = ", ".join(layout.LAYOUTS["market_data"].stored)
    found = reader.execute(f"SELECT {columns} FROM entasis.{back.table}").fetchall()
    assert normal({"market_data": found}) == normal({"market_data": expected})
    assert everything(connection) == left
    with pytest.raises(errors.DuplicateTable, match="was restored before"):
        restore(admin, store, "market_data", months_ago(6), months_ago(6) + timedelta(days=1))
    with pytest.raises(errors.InsufficientPrivilege):
        admin.execute(f"INSERT INTO entasis.{back.table} SELECT * FROM entasis.{back.table}")
    admin.execute("SELECT entasis.drop_restored(%s)", [back.table])
    assert one(connection, "SELECT to_regclass(%s)", f"entasis.{back.table}") is None
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        admin.execute("SELECT entasis.drop_restored('market_data')")
    # what is not archived, or not all of it, is not passed over
    with pytest.raises(ArchiveError, match="nothing of market_data"):
        restore(admin, store, "market_data", months_ago(20), months_ago(19))
    with pytest.raises(ArchiveError, match="has nothing from"):
        restore(admin, store, "market_data", months_ago(6), months_ago(0))
    with pytest.raises(ArchiveError, match="partly"):
        restore(
            admin,
            store,
            "market_data",
            months_ago(6) + timedelta(days=1),
            months_ago(0),
            attach=True,
        )


@pytest.mark.native_speed
def test_what_came_back_is_read_only_and_stands_in_nobodys_way(
    connection: Connection, store: Store, database: Database
) -> None:
    archive(connection, store)
    maintain(connection)
    for relation in RELATIONS:
        restore(connection, store, relation, FIRST, NOW, attach=True)
    candles = oracle.stored_candles(connection)
    back = everything(connection)
    held = {relation: health(connection, relation)["past_keep"] for relation in RELATIONS}

    refused(connection, "market_data", INSERT_TRADE, 900, months_ago(6) + timedelta(hours=1), 1)
    refused(connection, "option_data", INSERT_QUOTE, 900, months_ago(5))
    for relation, change in (("market_data", "price = 9"), ("option_data", "iv = 9")):
        for query in (f"UPDATE entasis.{relation} SET {change}", f"DELETE FROM entasis.{relation}"):
            refused(connection, relation, f"{query} WHERE timestamp < %s", months_ago(4))
    refusal = errors.CheckViolation if database.can("copy_errors") else errors.InternalError_
    with (
        pytest.raises(refusal, match="past its keep period"),
        connection.cursor() as cursor,
        cursor.copy(
            "COPY entasis.market_data (id, symbol, exchange, timestamp, price, volume) FROM STDIN"
        ) as copy,
    ):
        copy.write_row((901, "BTC", "x", months_ago(0), 1, 1))
        copy.write_row((902, "BTC", "x", months_ago(6) + timedelta(hours=1), 1, 1))
    assert everything(connection) == back

    # other trades come, their candles follow, and a release goes on
    new = Trade(
        symbol="NEW",
        exchange="x",
        timestamp=months_ago(0),
        id=1,
        price=Decimal(1),
        volume=Decimal(1),
    )
    assert ingest_trades(connection, [new], source="later", id_space="ordinal").inserted == 1
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
        [NOW - months_ago(0)],
    )
    assert archive(connection, store) != []
    maintain(connection)
    state = health(connection, "market_data")
    assert state["past_keep"] == held["market_data"]
    assert all("held until" in reason for reason in state["kept_because"])
    assert [row[0] for row in live(connection, "market_data") if row[2] >= months_ago(1)] == ["NEW"]


def test_every_engine_archives_drops_and_restores_beside(
    connection: Connection, store: Store, database: Database, tmp_path: Path
) -> None:
    """Whatever its partitions are, and compressed where the engine does that."""
    before = normal(everything(connection))
    if database.can("hypertables"):
        connection.execute(
            "SELECT public.compress_chunk(c.partition_oid::regclass)"
            " FROM entasis_internal.chunks_to_compress('0') AS c"
        )
        # a job may have been quicker; trades, quotes and minutes have a columnstore
        assert one(connection, "SELECT count(*) FROM entasis_internal.chunks_to_compress('0')") == 0
        assert (
            one(
                connection,
                "SELECT count(DISTINCT hypertable_name) FROM timescaledb_information.chunks"
                " WHERE is_compressed",
            )
            == 3
        )
    archive(connection, store)
    connection.execute(CHANGES["corrected"].encode(), [months_ago(5)])
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


# --- real data -----------------------------------------------------------------------------------


@pytest.mark.samples
@pytest.mark.long
@pytest.mark.native_speed
def test_real_trades_and_quotes_there_and_back(
    connection: Connection, s3: S3Server, url: str, samples: Path, tmp_path: Path
) -> None:
    store = open_store(url)
    for name in ("trades_binance_2024-08-08.csv.gz", "trades_phemex_2021-07-03.csv.gz"):
        header, *lines = gzip.decompress((samples / name).read_bytes()).splitlines(keepends=True)
        (tmp_path / name).write_bytes(header + b"".join(lines[::16]))
        load_trades(connection, tmp_path / name)
    load_options(connection, samples / "options_deribit_eth_2021-07-22.csv")
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
    # weeks that begin in a month without trades were not archived whole
    assert oracle.stored_candles(connection) == oracle.known_whole(connection, candles)
    assert oracle.differences(connection, oracle.stored_trades(connection)) == []


# --- the command line ----------------------------------------------------------------------------


@several
def test_the_command_line(
    database: Database, filled: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--database", database.dsn, *arguments])
        return result.exit_code, result.output

    monkeypatch.delenv("ENTASIS_ARCHIVE_URL", raising=False)
    code, said = run("archive")
    assert (code, "ENTASIS_ARCHIVE_URL" in said) == (2, True)
    monkeypatch.setenv("ENTASIS_ARCHIVE_URL", url)
    code, said = run("archive")
    assert (code, "SET archived = true" in said) == (0, True)
    assert run("archive", "list") == (0, "nothing is archived\n")
    mark(filled)
    code, said = run("archive")
    assert code == 0
    # on no terminal, one line a result
    assert len(said.splitlines()) == 8
    assert "market_data from" in said
    assert "7 ranges archived" in said
    assert run("maintain")[0] == 0
    code, said = run("archive", "list", "--table")
    assert (code, said.count("dropped")) == (0, 7)
    ranges = filled.execute(
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
