"""A portable dump goes into either engine and any version, with every row and every candle."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from entasis_db.archive import open_store, restore
from entasis_db.archive.layout import LAYOUTS
from entasis_db.copies import dump
from entasis_db.maintenance import maintain
from tests import oracle
from tests.conftest import start_once
from tests.contract.copies.conftest import forget, full_database
from tests.contract.copies.support import lose, new, restored, runs, state
from tests.db import Connection, discard, ensure, health, one
from tests.engines import Database, Server, pause_jobs
from tests.make import TODAY, insert_trades, months_ago
from tests.servers import sources

pytestmark = [pytest.mark.newest_server, pytest.mark.moving]


@pytest.fixture(scope="module")
def plain() -> Server:
    """A server of engine postgresql beside one of another engine."""
    found = [s for s in sources() if s.engine == "postgresql"]
    if not found:
        pytest.skip("there is no server of engine postgresql")
    return start_once(found[-1])


@pytest.fixture(
    scope="module",
    params=[
        "from postgresql",
        pytest.param("to postgresql", marks=pytest.mark.native_speed_when_short),
    ],
)
def way(request: pytest.FixtureRequest, server: Server, plain: Server) -> tuple[Server, Server]:
    """From which server rows go to which."""
    return (plain, server) if request.param == "from postgresql" else (server, plain)


@pytest.fixture(scope="module")
def filled(way: tuple[Server, Server], store: Path) -> Iterator[Database]:
    with full_database(way[0], store) as lent:
        yield lent


@pytest.fixture
def elsewhere(way: tuple[Server, Server]) -> Iterator[Database]:
    """An empty database of the other engine."""
    with way[1].empty_database() as lent:
        yield lent
    forget(way[1])


def test_to_the_other_engine(
    filled: Database, portable: Path, elsewhere: Database, store: Path
) -> None:
    done = restored(elsewhere, portable, engine=elsewhere.engine)
    # the minute whose trades are gone
    assert done.dumped.faults == 1
    with filled.connect() as before, elsewhere.connect() as after:
        kept, found = state(before), state(after)
        for table in kept.keys() - {"archives", "archive_objects"}:
            assert kept[table], table
            assert found[table] == kept[table], table
        ((outcome, detail),) = runs(after, "restore-dump")
        assert (outcome, detail["kind"]) == ("done", "portable")
        # what is still stored is archived again, in ranges of this engine
        gone = "SELECT location, checksum FROM entasis.archives WHERE {} ORDER BY id"
        assert after.execute(gone.format("true").encode()).fetchall() == (
            before.execute(gone.format("dropped_at IS NOT NULL").encode()).fetchall()
        )
        if elsewhere.can("hypertables"):
            assert one(
                after,
                "SELECT bool_and(scheduled) FROM timescaledb_information.jobs WHERE job_id >= 1000",
            )
            pause_jobs(after)
        goes_on(after, has_chunks=elsewhere.can("hypertables"))
        archive_comes_back(before, after, store)


def goes_on(connection: Connection, *, has_chunks: bool) -> None:
    """New trades and late ones are in the candles, and those whose trades are gone stay."""
    query = "SELECT * FROM entasis.ohlcv_1m ORDER BY 1, 2, 3"
    old = connection.execute(query).fetchall()
    (gone,) = health(connection, "market_data")["gone_without_archive"]
    lost = months_ago(2) + timedelta(days=14)
    assert lost in gone
    late = TODAY - timedelta(days=10)
    insert_trades(connection, new(77, timestamp=TODAY), new(78, timestamp=late))
    if has_chunks:
        # of the three trades that were there, one comes again
        insert_trades(connection, new(79, timestamp=lost))
    oracle.refresh(connection)
    found = {row[:3]: row for row in connection.execute(query).fetchall()}
    assert len(found) == len(old) + 1
    assert [row[2] for row in old if found[row[:3]] != row] == [late]


def archive_comes_back(before: Connection, after: Connection, folder: Path) -> None:
    """What the other engine has archived is restored here, in part and attached as a whole."""
    opened = open_store(folder.as_uri())
    ranges = before.execute(
        "SELECT from_time, to_time FROM entasis.archives WHERE relation = 'market_data'"
        " AND dropped_at IS NOT NULL AND from_time > %s ORDER BY 1",
        [months_ago(7)],
    ).fetchall()
    assert len(ranges) >= 2
    whole = []
    for start, end in ranges:
        (beside,) = restore(before, opened, "market_data", start, end)
        rows = trades(before, beside.table)
        assert rows
        whole += rows
        day = start.replace(hour=0) + timedelta(days=1)
        (part,) = restore(after, opened, "market_data", day, end)
        cut = [row for row in rows if row[TIMESTAMP] >= day]
        assert trades(after, part.table) == cut
        assert len(cut) < len(rows) or start.day != 1
    kept = trades(after, "market_data")
    candles = after.execute("SELECT * FROM entasis.ohlcv_1m ORDER BY 1, 2, 3").fetchall()
    for start, end in ranges:
        (attached,) = restore(after, opened, "market_data", start, end, attach=True)
        assert attached.attached
    assert trades(after, "market_data") == sorted([*kept, *whole], key=repr)
    assert after.execute("SELECT * FROM entasis.ohlcv_1m ORDER BY 1, 2, 3").fetchall() == candles


def trades(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM entasis.{table}".encode())
    return sorted(rows.fetchall(), key=repr)


COLUMNS = LAYOUTS["market_data"].stored
TIMESTAMP = COLUMNS.index("timestamp")


@pytest.mark.hypertables
def test_candles_of_which_no_trade_is_left(server: Server, plain: Server, tmp_path: Path) -> None:
    """TimescaleDB shows what it has materialized, and it materializes what it makes of trades."""
    old = months_ago(4) + timedelta(days=3)
    recent = TODAY - timedelta(days=20)
    with plain.database() as source, server.empty_database() as target:
        with source.connect() as before:
            discard(before)
            for moment in (old, recent):
                ensure(before, "market_data", moment, moment + timedelta(days=1))
            insert_trades(before, new(1, timestamp=old), new(2, timestamp=recent))
            maintain(before)
            lose(before, recent)
            kept = state(before)
        assert [row[0] for row in kept["market_data"]] == []
        assert len(kept["ohlcv_1m"]) == len(kept["ohlcv_1d"]) == 2
        dump(source.dsn, tmp_path / "d", portable=True)
        restored(target, tmp_path / "d", engine=target.engine)
        with target.connect() as after:
            pause_jobs(after)
            assert state(after) == kept
            # fewer than there were, of the days that are gone; and of a day that never had any
            late = recent + timedelta(days=1)
            insert_trades(
                after,
                new(3, timestamp=recent + timedelta(seconds=1)),
                new(4, timestamp=late),
                new(6, timestamp=months_ago(1)),
                new(5, timestamp=TODAY),
            )
            oracle.refresh(after)
            found = after.execute("SELECT bucket, first_trade_id FROM entasis.ohlcv_1m").fetchall()
            assert sorted(found) == sorted(
                [(old, 1), (recent, 2), (late, 4), (TODAY, 5), (months_ago(1), 6)]
            )


@pytest.mark.hypertables
@pytest.mark.native_speed
def test_candles_of_a_chunk_that_another_has_replaced(server: Server, tmp_path: Path) -> None:
    """That it was dropped by hand is known, although there is one of its bounds."""
    moment = months_ago(2) + timedelta(days=14)
    query = "SELECT relation, partition_name, ranges::text FROM entasis_internal.lost_ranges"
    with server.database() as source, server.empty_database() as target:
        with source.connect() as before:
            pause_jobs(before)
            insert_trades(before, new(1, timestamp=moment), new(2, timestamp=moment))
            oracle.refresh(before)
            lose(before, moment)
            insert_trades(before, new(3, timestamp=moment))
            oracle.refresh(before)
            lost = before.execute(query).fetchall()
            assert len(lost) == 1
        dump(source.dsn, tmp_path / "d", portable=True)
        restored(target, tmp_path / "d")
        with target.connect() as after:
            pause_jobs(after)
            assert after.execute(query).fetchall() == lost
            insert_trades(after, new(4, timestamp=moment))
            oracle.refresh(after)
            assert one(after, "SELECT last_trade_id FROM entasis.ohlcv_1m") == 4
            after.execute("DELETE FROM entasis.market_data WHERE id = 4")
            oracle.refresh(after)
            assert one(after, "SELECT last_trade_id FROM entasis.ohlcv_1m") == 4
