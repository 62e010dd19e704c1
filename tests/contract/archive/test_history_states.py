"""History is read right in whatever state a range is, and of the store no more than it needs."""

import asyncio
import csv
import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from entasis_db import history, queries
from entasis_db.archive import Store, archive, layout, open_store
from entasis_db.cli import main
from entasis_db.errors import ArchiveError, HistoryError, StoreError
from entasis_db.history import snapshot
from entasis_db.history.candles import bucket, bucket_from
from entasis_db.maintenance import maintain
from entasis_db.reopening import reopen
from tests import oracle
from tests.contract.archive.support import CHANGES, Faulty, several
from tests.contract.floors.test_reopen import FEBRUARY, MARCH, end_the_keep
from tests.contract.retention.support import CANDLES, keep, keep_from
from tests.db import Connection, discard, one
from tests.engines import Database
from tests.make import month
from tests.s3 import S3Server

pytestmark = [pytest.mark.copy, pytest.mark.newest_server]

YEAR = (month(2020, 1), month(2020, 12))
BTC = history.trades("BTC", "one", *YEAR)
MINUTES = history.candles("BTC", "one", "1m", *YEAR)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def archived(old: Connection, store: Store) -> Connection:
    """What ended before 2020-04 is archived, and still there."""
    discard(old, False)
    oracle.refresh(old)
    keep_from(old, month(2020, 4), "market_data", "option_data")
    archive(old, store)
    return old


@pytest.fixture
def gone(archived: Connection) -> Connection:
    """It was dropped."""
    maintain(archived)
    return archived


def sources(connection: Connection) -> list[tuple[str, datetime]]:
    return [(one.source, one.to_time) for one in BTC.ranges(connection)]


@several
@pytest.mark.detach
def test_a_partition_that_is_being_detached_is_read_once(
    archived: Connection,
    store: Store,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = BTC.fetch(archived)
    assert len(before) == 20
    parts: Callable[..., Any] = snapshot._parts
    maintaining: list[threading.Thread] = []

    def detaching() -> None:
        with database.connect() as other:
            maintain(other)

    def meanwhile(*values: Any) -> Iterator[Any]:
        # the snapshot is taken: what is detached now was there
        if not maintaining:
            maintaining.append(threading.Thread(target=detaching))
            maintaining[0].start()
            with database.connect() as watch:
                while not one(watch, "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"):
                    threading.Event().wait(0.01)
                # a later snapshot does not show its rows
                with pytest.raises(HistoryError, match="is being dropped"):
                    BTC.ranges(watch)
        yield from parts(*values)

    monkeypatch.setattr(snapshot, "_parts", meanwhile)
    monkeypatch.setattr(snapshot, "_PATIENCE", 0.0)
    with database.connect() as reader:
        assert BTC.fetch(reader, store) == before
    maintaining[0].join()
    assert {source for source, _ in sources(archived)} == {"archive", "relation"}
    assert BTC.fetch(archived, store) == before


@pytest.mark.detach
def test_what_a_killed_maintenance_left_detached_is_waited_for(
    archived: Connection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = BTC.fetch(archived)
    # a correction that no archive has is in the detached partition
    archived.execute(
        "UPDATE entasis.market_data SET price = 5 WHERE id = 9 AND timestamp < %s", [FEBRUARY]
    )
    corrected = [t._replace(price=5) if t.id == 9 and t.timestamp < FEBRUARY else t for t in before]
    name = "market_data_y2020m01"
    archived.execute(f"ALTER TABLE entasis.market_data DETACH PARTITION entasis_internal.{name}")
    archived.execute(
        "INSERT INTO entasis.maintenance_log (action, relation, detail)"
        " VALUES ('detach', 'market_data', %s)",
        [name],
    )
    monkeypatch.setattr(snapshot, "_PATIENCE", 0.0)
    for reading in (BTC.fetch, BTC.arrow, BTC.ranges):
        with pytest.raises(HistoryError, match=r"is being dropped.*entasis maintain completes"):
            reading(archived)
    # other ranges and other relations can be read
    assert history.trades("BTC", "one", FEBRUARY, MARCH).fetch(archived)
    maintain(archived)  # which attaches it again: it differs from its archive
    assert BTC.fetch(archived, store) == corrected
    # the old version is still on record
    with pytest.raises(StoreError):
        archive(archived, Faulty(store, "discard", "refuse"))
    maintain(archived)
    assert BTC.fetch(archived, store) == corrected


@pytest.mark.native_speed
def test_what_was_dropped_by_hand_or_for_good(gone: Connection, store: Store) -> None:
    minutes = MINUTES.fetch(gone)
    assert MINUTES.fetch(gone, store) == minutes
    before = BTC.fetch(gone, store)
    assert len(before) == 20
    # on some engines a range without rows has no partition, and so no archive
    assert {source for source, _ in sources(gone)} >= {"archive", "relation"}
    with pytest.raises(HistoryError, match=r"from 20.* is in the archive at file.*give that"):
        BTC.fetch(gone)
    # what is discarded is known to nobody, and said
    discard(gone)
    keep_from(gone, month(2020, 5), "market_data", "option_data")
    gone.execute("CALL entasis.maintain()")
    assert {source for source, _ in sources(gone)} == {"archive", "unknown", "relation"}
    lost = [one for one in BTC.ranges(gone) if one.source == "unknown"]
    rest = [t for t in before if not any(r.from_time <= t.timestamp < r.to_time for r in lost)]
    assert BTC.fetch(gone, store) == rest
    assert 14 <= len(rest) < 20
    # its minutes are there still, and with them what is computed from them
    assert MINUTES.fetch(gone, store) == minutes
    # a transaction of the caller's has another snapshot
    with gone.transaction(), pytest.raises(HistoryError, match="transaction of its own"):
        BTC.fetch(gone, store)


@pytest.mark.native_speed
def test_an_archive_that_is_replaced_meanwhile_is_read_anew(
    gone: Connection, store: Store, database: Database
) -> None:
    before = BTC.fetch(gone, store)

    class Slow(Faulty):
        """While the first object is read, its range is reopened and archived again."""

        def part(self, key: str, offset: int, length: int) -> bytes:
            if not self.calls and "month=02" in key:
                self.calls = 1
                with database.connect() as other:
                    reopen(other, "market_data", FEBRUARY, MARCH, store=store)
                    other.execute(CHANGES["corrected"].encode(), [AT])
                    oracle.refresh(other)
                    end_the_keep(other)
                    archive(other, store)
            return self.store.part(key, offset, length)

    slow = Slow(store, "", "")
    found = BTC.fetch(gone, slow)
    assert slow.calls
    assert found != before
    assert found == BTC.fetch(gone, store)
    # as batches it cannot begin again
    slow = Slow(store, "", "")
    maintain(gone)
    with pytest.raises(HistoryError, match="replaced while it was read: ask again"):
        list(BTC.record_batches(gone, slow))


AT = FEBRUARY + timedelta(minutes=1)


@pytest.mark.native_speed
def test_an_object_that_is_not_the_manifests_is_refused(
    gone: Connection, store: Store, tmp_path: Path
) -> None:
    objects = sorted((tmp_path / "store" / "market_data").rglob("*.parquet"))
    first, second = (file.read_bytes() for file in objects[:2])
    for wrong in (second, first[: len(first) // 2], first.replace(b"PAR1", b"PAR2")):
        objects[0].write_bytes(wrong)
        with pytest.raises((HistoryError, StoreError), match=r"parquet (is not what|cannot be)"):
            BTC.fetch(gone, store)
    objects[0].unlink()
    with pytest.raises(ArchiveError, match="could not be read"):
        BTC.fetch(gone, store)


@pytest.mark.native_speed
def test_every_way_to_read_gives_the_same(gone: Connection, store: Store, dsn: str) -> None:
    rows = BTC.fetch(gone, store)
    table = BTC.arrow(gone, store)

    async def each() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            assert await BTC.fetch_async(connection, store) == rows
            assert (await BTC.arrow_async(connection, [store])).equals(table)
            batches = [b async for b in BTC.record_batches_async(connection, store)]
            assert sum(batch.num_rows for batch in batches) == len(rows)
            assert (await BTC.polars_async(connection, store)).height == len(rows)
            assert (await BTC.pandas_async(connection, store)).shape[0] == len(rows)
            assert await BTC.ranges_async(connection) == BTC.ranges(gone)

    asyncio.run(each())
    with duckdb.connect() as lake:
        lake.register("trades", BTC.reader(gone, store))
        counted = lake.execute("SELECT count(*), max(price) FROM trades").fetchone()
    assert counted == (len(rows), max(t.price for t in rows))
    assert BTC.polars(gone, store)["id"].to_list() == [t.id for t in rows]
    assert list(BTC.pandas(gone, store)["price"]) == [t.price for t in rows]


@pytest.fixture
def dsn(database: Database) -> str:
    return database.dsn


@pytest.mark.native_speed
def test_one_market_and_one_day_are_a_few_requests(
    connection: Connection, s3: S3Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "ROW_GROUP", 800)
    monkeypatch.setattr(layout, "BLOCK", 100)
    start = month(2020, 1)
    discard(connection, False)
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)", [start, month(2020, 2)]
    )
    connection.execute(
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " SELECT 'S' || m, 'x', %s::timestamptz + n * interval '1 hour', n,"
        " round(random()::numeric, 12) + 1, round(random()::numeric, 12) + 1"
        " FROM generate_series(10, 39) AS m, generate_series(0, 699) AS n",
        [start],
    )
    oracle.refresh(connection)
    keep(connection, **dict.fromkeys(CANDLES))
    keep_from(connection, month(2020, 3), "market_data")
    store = open_store(url)
    archive(connection, store)
    maintain(connection)

    asked: list[int] = []

    class Counting(Faulty):
        def part(self, key: str, offset: int, length: int) -> bytes:
            content = self.store.part(key, offset, length)
            asked.append(len(content))
            return content

    day = (start + timedelta(days=20), start + timedelta(days=21))
    counting = Counting(store, "", "")
    found = history.trades("S22", "x", *day).fetch(connection, counting)
    assert [t.id for t in found] == list(range(480, 504))
    size = sum(store.sizes("market_data").values())
    objects = len(store.sizes("market_data"))
    assert size > 300_000
    # a footer, and one or two row groups of some 27
    assert len(asked) <= 4 * objects
    assert sum(asked) < size / 2.5
    asked.clear()
    everything = [
        row
        for number in range(10, 40)
        for row in history.trades(f"S{number}", "x", *YEAR).fetch(connection, counting)
    ]
    assert len(everything) == 30 * 700
    assert max(asked) < size / 2.5


@pytest.mark.native_speed
def test_the_command_writes_csv_json_and_parquet(
    gone: Connection, store: Store, dsn: str, tmp_path: Path
) -> None:
    rows = BTC.fetch(gone, store)
    where = ["--exchange", "one", "2019-12-01", "2020-12-01", "--from", store.location]

    def run(*words: str) -> Result:
        result = CliRunner().invoke(main, ["--database", dsn, "history", *words])
        assert result.exit_code == 0, result.output
        return result

    said = run("trades", "BTC", *where)
    assert said.stderr.startswith("not known from 2019-12-01 00:00:00 UTC to ")
    assert said.stderr.endswith(" UTC: below the floor, and not archived\n")
    read = list(csv.DictReader(io.StringIO(said.stdout)))
    assert [Decimal(row["price"]) for row in read] == [t.price for t in rows]
    lines = [
        json.loads(line) for line in run("trades", "BTC", *where, "--json").stdout.splitlines()
    ]
    assert [Decimal(line["price"]) for line in lines] == [t.price for t in rows]
    assert [datetime.fromisoformat(line["timestamp"]) for line in lines] == [
        t.timestamp for t in rows
    ]
    file = tmp_path / "file.parquet"
    run("candles", "BTC", "--interval", "1d", *where, "--parquet", str(file))
    days = history.candles("BTC", "one", "1d", *YEAR).fetch(gone, store)
    assert pq.read_table(file)["trades"].to_pylist() == [day.trades for day in days]
    contract = ["--expiry", "2030-01-01", "--strike", "100", "--type", "call"]
    quotes = run("quotes", "BTC", *contract, *where[2:])
    assert len(quotes.stdout.splitlines()) == 1 + len(rows)
    result = CliRunner().invoke(
        main, ["--database", dsn, "history", "trades", "BTC", *where, "--json", "--parquet", "x"]
    )
    assert result.exit_code == 2


@pytest.mark.native_speed
def test_buckets_are_those_of_the_database(shared_connection: Connection) -> None:
    moments = [month(2024, 2), month(2024, 2) - timedelta.resolution, month(2024, 3)]
    start = month(2023, 12) + timedelta(microseconds=1)
    moments += [start + timedelta(hours=5 * n, minutes=n) for n in range(99)]
    for interval in queries.INTERVALS:
        found = shared_connection.execute(
            "SELECT entasis.candle_bucket(%(i)s, m), entasis.candle_bucket_from(%(i)s, m)"
            " FROM unnest(%(moments)s::timestamptz[]) WITH ORDINALITY AS u (m, n) ORDER BY n",
            {"i": interval, "moments": moments},
        ).fetchall()
        made = [(bucket(interval, m), bucket_from(interval, m)) for m in moments]
        assert made == [tuple(t.astimezone(UTC) for t in pair) for pair in found]
