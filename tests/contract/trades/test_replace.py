"""A file's trades stand in the place of others, or nothing has changed."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.errors import IdSpaceError, LoadError
from entasis_db.ingest import ingest_trades, load_trades, replace_trades
from entasis_db.model import Trade
from tests import oracle
from tests.conftest import Login
from tests.contract.trades.support import (
    by_key,
    counts,
    everything,
    nanoseconds,
    pipe_in,
    quarantined,
    write,
)
from tests.db import Connection, is_blocked, one, wipe
from tests.engines import Database
from tests.make import NOON, D, trade

pytestmark = [
    pytest.mark.copy,
    pytest.mark.newest_server,
    pytest.mark.native_speed_when_short,
]

SECOND = timedelta(seconds=1)


def ingest(connection: Connection, *trades: Trade, id_space: str = "trade") -> None:
    report = ingest_trades(connection, trades, source="before", id_space=id_space)
    assert report.inserted == len(trades)


def refused(connection: Connection, path: Path, **options: Any) -> str:
    """See a file refused, and nothing changed by it."""
    before = everything(connection)
    with pytest.raises((LoadError, IdSpaceError)) as caught:
        replace_trades(connection, path, **options)
    assert everything(connection) == before
    assert str(caught.value).startswith(path.name)
    return str(caught.value)


# --- what is replaced ----------------------------------------------------------------------------


def test_a_file_that_is_published_again(connection: Connection, tmp_path: Path) -> None:
    """The same ids at other times, in another month: they are there once, at the new times."""
    path = tmp_path / "SKYBTC-trades-2021-02-04.csv"
    lines = ("500001,0.00002,100,0.002,{}000,true,true", "500002,0.00003,100,0.003,{}500,true,true")
    first, again = 1_612_386_000, 1_614_235_600
    path.write_text("\n".join(line.format(first) for line in lines) + "\n")
    load_trades(connection, path, exchange="binance-spot")
    path.write_text("\n".join(line.format(again) for line in lines) + "\n")
    assert load_trades(connection, path, exchange="binance-spot").report.quarantined == 2
    for expected in ((0, 2, 0, 0), (0, 0, 0, 2)):
        assert counts(replace_trades(connection, path, exchange="binance-spot")) == expected
        oracle.assert_candles_are_right(
            connection,
            {
                ("SKYBTC", "binance-spot", datetime.fromtimestamp(again, UTC) + late, number): (
                    D(price),
                    D(100),
                )
                for number, price, late in (
                    (500_001, "0.00002", timedelta(0)),
                    (500_002, "0.00003", timedelta(milliseconds=500)),
                )
            },
        )
    assert connection.execute("SELECT * FROM entasis.check_ids()").fetchall() == []


def test_what_goes_and_what_stays(connection: Connection, tmp_path: Path) -> None:
    stored = [trade(n, side="buy") for n in range(10)]
    other = [trade(n, symbol="ETH") for n in range(10)]
    ingest(connection, *stored, *other)
    written = one(connection, "SELECT max(created_at) FROM entasis.market_data")
    told = [
        stored[2],
        stored[3]._replace(side=None),  # a side that is not stated is not forgotten
        stored[4]._replace(side="sell"),
        stored[5]._replace(price=D(7)),
        stored[6]._replace(timestamp=NOON + timedelta(days=40), side=None),
        trade(20),
    ]
    path = write(tmp_path / "new.csv", *told, told[-1])
    assert counts(replace_trades(connection, path)) == (1, 3, 0, 2)
    kept = [t for t in stored if t.id not in (4, 5, 6)]
    now = [*kept, told[2], told[3], told[4]._replace(side="buy"), told[5], *other]
    oracle.assert_candles_are_right(connection, by_key(*now))
    assert oracle.stored_sides(connection) == {
        (t.symbol, t.exchange, t.timestamp, t.id): t.side for t in now
    }
    # what is the same is not written again
    assert (
        one(connection, "SELECT count(*) FROM entasis.market_data WHERE created_at > %s", written)
        == 4
    )
    assert counts(replace_trades(connection, path)) == (0, 0, 0, 6)
    assert quarantined(connection) == []


@pytest.mark.one_session
def test_an_id_that_is_stored_twice_is_stored_once(connection: Connection, tmp_path: Path) -> None:
    """Wherever the second one lies: the order of ids says nothing of what is wrong."""
    stored = [trade(n, exchange="binance-spot") for n in (1, 5, 9)]
    ingest(connection, *stored)
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', '2024-07-01', '2024-12-01')"
    )
    for number, days in ((5, 70), (5, -20), (9, 20), (30, 30), (40, 80)):
        with connection.transaction():
            connection.execute(
                "SELECT set_config('entasis.trade_ids', pg_current_xact_id()::text, true)"
            )
            connection.execute(
                "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
                " VALUES (%s, 'BTC', 'binance-spot', %s, 1, 1)",
                [number, NOON + timedelta(days=days)],
            )
    path = write(tmp_path / "new.csv", stored[1], stored[2]._replace(price=D(3)))
    assert counts(replace_trades(connection, path)) == (0, 1, 3, 1)
    connection.execute("DELETE FROM entasis.market_data WHERE id IN (30, 40)")
    oracle.assert_candles_are_right(
        connection, by_key(stored[0], stored[1], stored[2]._replace(price=D(3)))
    )


def test_a_finer_time_takes_the_place_of_a_coarser_one(
    connection: Connection, tmp_path: Path
) -> None:
    """Trades that came live in milliseconds are out of order with others of the archive."""
    true = [trade(n, timestamp=NOON + timedelta(microseconds=300 * n)) for n in range(6)]
    live = [t._replace(timestamp=NOON) for t in true[2:4]]
    ingest_trades(connection, live, source="live", id_space="trade", time_unit="ms")
    path = write(tmp_path / "archive.csv", *true)
    assert load_trades(connection, path).report.already_there == 2
    assert counts(replace_trades(connection, path)) == (0, 2, 0, 4)
    oracle.assert_candles_are_right(connection, by_key(*true))


def test_a_range(connection: Connection, tmp_path: Path) -> None:
    stored = [trade(n) for n in range(20)]
    others = [
        trade(n, **market) for market in ({"symbol": "ETH"}, {"exchange": "y"}) for n in (6, 7)
    ]
    ingest(connection, *stored, *others)
    told = [stored[5], stored[6]._replace(price=D(9)), trade(100, timestamp=NOON + 7 * SECOND)]
    # stored where the range ends, and told in it
    told += [trade(9, timestamp=NOON + 8 * SECOND)]
    path = write(tmp_path / "new.csv", *told)
    replaced = replace_trades(
        connection, path, from_time=NOON + 5 * SECOND, to_time=NOON + 9 * SECOND
    )
    assert counts(replaced) == (1, 2, 2, 1)
    kept = [t for t in stored if t.id < 5 or t.id > 9]
    oracle.assert_candles_are_right(connection, by_key(*kept, *told, *others))
    # the range is half open
    path = write(tmp_path / "new.csv", trade(200, timestamp=NOON))
    assert counts(replace_trades(connection, path, from_time=NOON, to_time=NOON + SECOND)) == (
        *(1, 0, 1),
        0,
    )
    left = connection.execute("SELECT id FROM entasis.market_data WHERE id < 5 ORDER BY id")
    assert left.fetchall() == [(1,), (2,), (3,), (4,)]


def test_ordinals_are_replaced_by_range(connection: Connection, tmp_path: Path) -> None:
    times = [NOON, NOON, NOON, NOON + SECOND, NOON + 2 * SECOND]
    stored = [trade(n % 3 if n < 3 else 0, timestamp=t) for n, t in enumerate(times)]
    ingest(connection, *stored, id_space="ordinal")
    told = [stored[0], stored[1]._replace(price=D(2)), stored[3]]
    path = write(tmp_path / "new.csv", *told, ids=False)
    replaced = replace_trades(connection, path, from_time=NOON, to_time=NOON + 2 * SECOND)
    assert counts(replaced) == (0, 1, 1, 2)
    oracle.assert_candles_are_right(connection, by_key(*told, stored[4]))


def test_parquet_and_batches(connection: Connection, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stored = [trade(n) for n in range(9)]
    ingest(connection, *stored)
    told = [t._replace(volume=D(2)) for t in stored[4:]] + [trade(10)]
    columns = dict(zip(Trade._fields, map(list, zip(*told, strict=True)), strict=True))
    path = tmp_path / "new.parquet"
    pq.write_table(pa.table({**columns, "side": pa.array([None] * 6, pa.string())}), path)
    replaced = replace_trades(connection, path, id_space="trade", batch_rows=2)
    assert counts(replaced) == (1, 5, 0, 0)
    oracle.assert_candles_are_right(connection, by_key(*stored[:4], *told))


def test_a_pipe(connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = [trade(n) for n in range(5)]
    ingest(connection, *stored)
    told = [t._replace(price=D(5)) for t in stored[1:3]]
    pipe_in(monkeypatch, write(tmp_path / "new.csv", *told))
    assert counts(replace_trades(connection, "-", batch_rows=1)) == (0, 2, 0, 0)
    oracle.assert_candles_are_right(connection, by_key(stored[0], *told, *stored[3:]))


# --- what is refused -----------------------------------------------------------------------------


def test_a_file_with_a_faulty_line(connection: Connection, tmp_path: Path) -> None:
    ingest(connection, trade(1), trade(2))
    path = write(tmp_path / "new.csv", trade(1, price=D(5)), trade(3, symbol="NEW"))
    good = path.read_text()
    stamp = nanoseconds(NOON)
    for bad, said in (
        (f"x,BTC,{stamp},,4,0,1,\n", "line 4: price: the price 0 is not above 0"),
        (f"x,BTC,{stamp},,4,1,oops,\n", "line 4: number"),
        ("x,BTC,oops,,4,1,1,\n", "line 4: timestamp"),
        ("x,BTC\n", "line 4: fields"),
        (f"x,BTC,{stamp + 10**9},,1,5,1,\n", "line 4: the trade 1 stands in line 2 too"),
        (f"x,BTC,{stamp + 10**9},,1,6,0.25,\n", "line 4: the trade 1 stands in line 2 too"),
        (f"x,BTC,{stamp},,1,5,0.25,\n", "line 4: the trade 1 stands in line 2 too"),
        (f"x,BTC,{stamp + 10**9},,1,5,0.25,buy\n", "line 4: the trade 1 stands in line 2 too"),
        (f"x,BTC,{stamp},,4,1E-2000,1,\n", "line 4: price"),
        (f"x,BTC,{nanoseconds(datetime.now(UTC) + timedelta(days=2))},,4,1,1,\n", "future"),
    ):
        path.write_text(good + bad)
        assert said in refused(connection, path)


def test_a_file_that_cannot_be_read_to_its_end(connection: Connection, tmp_path: Path) -> None:
    import gzip

    ingest(connection, trade(1))
    path = write(tmp_path / "new.csv", *(trade(n, price=D(5)) for n in range(5000)))
    path.write_bytes(gzip.compress(path.read_bytes())[:-1000])
    assert "ends too early" in refused(connection, path, batch_rows=100)


def test_what_lies_outside_of_the_range(connection: Connection, tmp_path: Path) -> None:
    ingest(connection, trade(1))
    path = write(tmp_path / "new.csv", trade(1, price=D(5)), trade(9))
    for from_second, to_second in ((2, 20), (0, 9), (30, 40)):
        said = refused(
            connection,
            path,
            from_time=NOON + from_second * SECOND,
            to_time=NOON + to_second * SECOND,
        )
        assert "does not lie in the range" in said


def test_ranges_that_are_none(connection: Connection, tmp_path: Path) -> None:
    path = write(tmp_path / "new.csv", trade(1))
    for from_time, to_time in (
        (NOON, NOON),
        (NOON + SECOND, NOON),
        (NOON, None),
        (None, NOON),
        (NOON.replace(tzinfo=None), NOON),
    ):
        with pytest.raises(ValueError, match=r"from_time|time zone"):
            replace_trades(connection, path, from_time=from_time, to_time=to_time)
    for from_sql, to_sql in ((NOON, NOON), (NOON, None), (None, NOON)):
        with pytest.raises(psycopg.errors.DataError), connection.transaction():
            connection.execute("SELECT entasis.stage_trades()")
            connection.execute(
                "SELECT * FROM entasis.replace_staged_trades(%s::timestamptz, %s::timestamptz)",
                [from_sql, to_sql],
            )


def test_ids_that_are_unique_within_a_timestamp_only(
    connection: Connection, tmp_path: Path
) -> None:
    stored = trade(0)
    ingest(connection, stored, id_space="ordinal")
    path = write(tmp_path / "new.csv", stored, trade(0, timestamp=NOON + SECOND), ids=False)
    said = refused(connection, path)
    assert "ordinal" in said
    assert "--from and --to" in said


def test_another_kind_of_ids(connection: Connection, tmp_path: Path) -> None:
    ingest(connection, trade(1), id_space="aggtrade")
    path = write(tmp_path / "new.csv", trade(1, price=D(5)))
    assert "numbered by 'aggtrade'" in refused(connection, path)


def test_below_the_floor(connection: Connection, tmp_path: Path) -> None:
    old = [trade(n, timestamp=NOON - timedelta(days=60) + n * SECOND) for n in range(3)]
    ingest(connection, *old, trade(9))
    oracle.refresh(connection)
    connection.execute(
        "UPDATE entasis.floors SET floor = '2024-08-01Z' WHERE relation = 'market_data'"
    )
    # a row of the file, and stored rows that would have to go
    path = write(tmp_path / "new.csv", old[0], trade(9, price=D(5)))
    said = refused(connection, path)
    assert "line 2: past_retention" in said
    assert "entasis reopen market_data 2024-06-09 2024-06-10 --symbol BTC --exchange x" in said
    path = write(tmp_path / "new.csv", old[0]._replace(timestamp=NOON), trade(9, price=D(5)))
    assert "the stored trade 0 of x BTC at 2024-06-09" in refused(connection, path)
    path = write(tmp_path / "new.csv", trade(9, price=D(5)))
    said = refused(
        connection, path, from_time=NOON - timedelta(days=90), to_time=NOON + 60 * SECOND
    )
    assert "lies below the floor" in said


def test_in_a_reopened_range(connection: Connection, tmp_path: Path) -> None:
    connection.execute(
        "UPDATE entasis.floors SET floor = '2024-08-01Z' WHERE relation = 'market_data'"
    )
    connection.execute(
        "CALL entasis.reopen('market_data', '2024-07-10Z', '2024-07-12Z', 'BTC', 'x')"
    )
    told = [trade(n, timestamp=datetime(2024, 7, 10, n, tzinfo=UTC)) for n in range(3)]
    path = write(tmp_path / "new.csv", *told)
    assert counts(replace_trades(connection, path)) == (3, 0, 0, 0)
    path = write(tmp_path / "new.csv", told[1]._replace(price=D(5)))
    span = {"from_time": datetime(2024, 7, 10, 1, tzinfo=UTC), "to_time": NOON}
    assert counts(replace_trades(connection, path, **span)) == (0, 1, 1, 0)
    path = write(tmp_path / "new.csv", told[1]._replace(symbol="ETH"))
    assert "--symbol ETH" in refused(connection, path)
    oracle.assert_candles_are_right(connection, by_key(told[0], told[1]._replace(price=D(5))))
    connection.execute("DELETE FROM entasis.reopened")


# --- who may, and who writes at the same time ----------------------------------------------------


def test_a_writer_may_replace(login: Login, database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "new.csv", trade(1), trade(2))
    writer = login("entasis_writer")
    assert counts(replace_trades(writer, path)) == (2, 0, 0, 0)
    write(path, trade(1, price=D(5)))
    assert counts(replace_trades(writer, path, from_time=NOON, to_time=NOON + 10 * SECOND)) == (
        0,
        1,
        1,
        0,
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        replace_trades(login("entasis_reader"), path)


@pytest.mark.several_connections
def test_another_session_stores_one_of_them_meanwhile(emptied: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "new.csv", *(trade(n, price=D(5)) for n in range(3)))
    with emptied.connect() as writer, emptied.connect() as replacer, ThreadPoolExecutor() as pool:
        ingest(writer, trade(0))
        replacer.execute("SET default_transaction_isolation = 'repeatable read'")
        with writer.transaction():
            ingest(writer, trade(1), trade(9))
            replacing = pool.submit(replace_trades, replacer, path)
            while not is_blocked(writer, replacer):
                assert not replacing.done(), replacing.result()
                time.sleep(0.01)
        assert counts(replacing.result(60)) == (1, 2, 0, 0)
        now = [*(trade(n, price=D(5)) for n in range(3)), trade(9)]
        oracle.assert_candles_are_right(writer, by_key(*now))


# --- the command ---------------------------------------------------------------------------------


def test_the_command(emptied: Database, tmp_path: Path) -> None:
    from tests.contract.cli.support import fails, succeeds

    path = write(tmp_path / "new.csv", *(trade(n) for n in range(5)))
    succeeds(emptied, "load", "trades", str(path))
    write(path, *(trade(n, price=D(n + 1)) for n in range(2, 7)))
    command = ("load", "trades", str(path), "--replace")
    said = succeeds(emptied, *command)
    assert "new.csv (entasis): 2 rows added, 3 changed, 0 removed, 0 unchanged" in said
    assert "note: 5 rows are past their keep period" in said
    ranged = (*command, "--from", "2024-08-08T12:00", "--to", "2024-08-09")
    assert "0 rows added, 0 changed, 2 removed, 5 unchanged" in succeeds(emptied, *ranged)
    for wrong in (
        (*command, "--from", "2024-08-08"),
        (*command, "--to", "2024-08-08"),
        (*command, "--from", "2024-08-09", "--to", "2024-08-08"),
        (*ranged, str(path)),
        ("load", "trades", str(path), "--from", "2024-08-08", "--to", "2024-08-09"),
    ):
        fails(emptied, *wrong, code=2)
    assert "does not lie in the range" in fails(
        emptied, *command, "--from", "2024-08-08T12:00:03", "--to", "2024-08-09"
    )


# --- against a model -----------------------------------------------------------------------------


class Told(NamedTuple):
    """A trade of a file."""

    number: int
    second: int
    price: int
    side: str | None


times = st.sampled_from([0, 1, 2, 59, 60, 3_600, 86_400, 30 * 86_400])
rows = st.builds(
    Told, st.integers(0, 6), times, st.integers(1, 3), st.sampled_from([None, "buy", "sell"])
)
files = st.lists(rows, min_size=1, max_size=6, unique_by=lambda told: told.number)
ranges = st.none() | st.tuples(times, times).filter(lambda pair: pair[0] < pair[1])


@given(history=st.lists(st.tuples(files, ranges), min_size=1, max_size=4))
def test_replacements_in_a_row(
    shared_connection: psycopg.Connection[Any],
    tmp_path_factory: pytest.TempPathFactory,
    history: list[tuple[list[Told], tuple[int, int] | None]],
) -> None:
    connection = shared_connection
    wipe(connection)
    stored: dict[int, Trade] = {}
    path = tmp_path_factory.mktemp("files") / "new.csv"
    for told, seconds in history:
        trades = [
            trade(t.number, timestamp=NOON + t.second * SECOND, price=D(t.price), side=t.side)
            for t in told
        ]
        span: dict[str, Any] = {}
        if seconds is not None:
            from_time, to_time = (NOON + s * SECOND for s in seconds)
            trades = [t for t in trades if from_time <= t.timestamp < to_time]
            if not trades:
                continue
            span = {"from_time": from_time, "to_time": to_time}
        ids = {t.id for t in trades}
        gone = {
            n
            for n, t in stored.items()
            if span and span["from_time"] <= t.timestamp < span["to_time"] and n not in ids
        }
        now = {
            t.id: t if t.side or t.id not in stored else t._replace(side=stored[t.id].side)
            for t in trades
        }
        expected = (
            len(ids - stored.keys()),
            sum(n in stored and stored[n] != t for n, t in now.items()),
            len(gone),
            sum(stored.get(n) == t for n, t in now.items()),
        )
        assert counts(replace_trades(connection, write(path, *trades), **span)) == expected
        stored = {n: t for n, t in {**stored, **now}.items() if n not in gone}
    oracle.assert_candles_are_right(connection, by_key(*stored.values()))
    assert oracle.stored_sides(connection) == {
        (t.symbol, t.exchange, t.timestamp, t.id): t.side for t in stored.values()
    }
