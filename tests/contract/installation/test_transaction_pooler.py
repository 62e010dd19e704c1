"""What needs no session of its own works through a pooler that hands a session on after each
transaction: it finds nothing there that others left, and leaves nothing.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from entasis_db import ledger, queries
from entasis_db.acting import acting_for, acting_for_async
from entasis_db.candles import check_candles, rebuild_candles, refresh_candles
from entasis_db.exchange_candles import write_exchange_candles, write_exchange_candles_async
from entasis_db.ids import check_ids
from entasis_db.ingest import (
    ingest_arrow,
    ingest_options,
    ingest_options_async,
    ingest_trades,
    ingest_trades_async,
    load_trades,
    write_positions,
    write_positions_async,
    write_predictions,
    write_predictions_async,
)
from entasis_db.instruments import set_market
from entasis_db.live import AsyncTickWriter, TickWriter
from entasis_db.maintenance import maintenance_plan
from entasis_db.manifest import archived_ranges
from entasis_db.queries import Statement
from tests.contract.candles.test_exchange_candles import OWN, candle
from tests.contract.cli.support import HEADER, entasis, leaves, lines, succeeds
from tests.contract.portfolio.test_write import ADA, BOB, position
from tests.contract.predictions.test_write import prediction
from tests.contract.queries.support import MARCH
from tests.contract.queries.test_queries import EXAMPLES, seeded
from tests.db import one
from tests.engines import Database, Server
from tests.make import NOON, D, quote, trade
from tests.poolers import pooler

__all__ = ["seeded"]

pytestmark = [
    pytest.mark.copy,
    pytest.mark.several_connections,
    pytest.mark.newest_server,
    pytest.mark.usefixtures("needs_pgbouncer"),
]

SESSIONS = 2
OFTEN = range(7)  # more often than psycopg runs a statement before it prepares it
_LEFT = """
    SELECT concat_ws('|', current_setting('search_path'), current_setting('role'),
        current_setting('entasis.user_id', true), current_setting('TimeZone'),
        (SELECT count(*) FROM pg_prepared_statements),
        (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()))
"""


@pytest.fixture(scope="module")
def pooled(seeded: Database) -> Iterator[str]:
    """Lead through a pool of two sessions to the database of the queries' examples."""
    with seeded.connect() as connection:
        for relation in ("predictions", "portfolio_status"):  # examples came with their numbers
            query = "SELECT setval(pg_get_serial_sequence(%s, 'id'), 1000)"
            connection.execute(query, [f"entasis.{relation}"])
    with pooler(seeded.dsn, size=SESSIONS) as dsn:
        yield dsn


@pytest.fixture(autouse=True)
def nothing_is_left(pooled: str) -> Iterator[None]:
    """Compare what a client finds in the sessions after a test with what it found before."""
    before = left(pooled)
    yield
    assert left(pooled) == before


def left(dsn: str) -> set[Any]:
    with ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(dsn)) for _ in range(SESSIONS)]
        return {one(client, _LEFT) for client in clients}


def connected(dsn: str) -> psycopg.Connection[Any]:
    return psycopg.connect(dsn, autocommit=True)


def by_turns(
    dsn: str, *works: Callable[[psycopg.Connection[Any]], Any], often: range = OFTEN
) -> None:
    """Let as many clients as there are works take turns, each with its own, a few times over."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(dsn)) for _ in works]
        for _ in often:
            for client, work in zip(clients, works, strict=True):
                work(client)


def test_queries(pooled: str, seeded: Database) -> None:
    def reads(statement: Statement[Any]) -> Callable[[psycopg.Connection[Any]], None]:
        with seeded.connect() as direct:
            rows, table = statement.fetch(direct), statement.arrow(direct)
        assert rows

        def read(client: psycopg.Connection[Any]) -> None:
            assert statement.fetch(client) == rows
            assert statement.arrow(client).equals(table)

        return read

    by_turns(pooled, *map(reads, EXAMPLES))


def test_queries_of_an_event_loop(pooled: str, seeded: Database) -> None:
    async def reads(statement: Statement[Any]) -> None:
        with seeded.connect() as direct:
            rows, table = statement.fetch(direct), statement.arrow(direct)
        connection = await psycopg.AsyncConnection.connect(pooled, autocommit=True)
        async with connection:
            for _ in OFTEN:
                assert await statement.fetch_async(connection) == rows
                assert (await statement.arrow_async(connection)).equals(table)

    async def all_at_once() -> None:
        await asyncio.gather(*map(reads, EXAMPLES))

    asyncio.run(all_at_once())


def test_prepared_statements_where_there_is_no_pooler(seeded: Database) -> None:
    (statement,) = (each for each in EXAMPLES if each.name == "markets")
    with seeded.connect() as direct:
        for _ in range(20):
            statement.fetch(direct)
        assert one(direct, "SELECT count(*) FROM pg_prepared_statements") == 1


def test_batches(pooled: str) -> None:
    """Clean ones and those that are staged, with rows for quarantine."""

    def trades(symbol: str) -> Callable[[psycopg.Connection[Any]], None]:
        numbers = iter(range(1000))

        def write(client: psycopg.Connection[Any]) -> None:
            rows = [trade(next(numbers), symbol=symbol) for _ in range(3)]
            how: dict[str, Any] = {"source": "f", "id_space": "trade"}
            assert ingest_trades(client, rows, **how).inserted == 3
            bad = trade(1000, symbol=symbol, price=D(0))
            wide = trade(1001, symbol="x\x00")
            report = ingest_trades(client, [*rows, bad, wide], **how)
            assert (report.already_there, report.quarantined) == (3, 2)

        return write

    def quotes(client: psycopg.Connection[Any]) -> None:
        ingest_options(client, [quote(1)], source="f")
        assert ingest_options(client, [quote(1), quote(2)], source="f").already_there >= 1
        assert ingest_options(client, [quote(3, id=None)], source="g").quarantined == 0

    def frame(client: psycopg.Connection[Any]) -> None:
        rows = pl.DataFrame([trade(1, symbol="F")._asdict()]).drop("side", "source_id", "excluded")
        report = ingest_arrow(client, rows, source="f", id_space="trade")
        assert report.inserted + report.already_there == 1

    def others(client: psycopg.Connection[Any]) -> None:
        write_predictions(client, [prediction()])
        write_positions(client, [position()])
        write_exchange_candles(client, [candle()], source="f")

    by_turns(pooled, trades("A"), trades("B"), quotes, frame, others)


def test_batches_of_an_event_loop(pooled: str) -> None:
    async def write(symbol: str) -> None:
        connection = await psycopg.AsyncConnection.connect(pooled, autocommit=True)
        async with connection:
            for number in OFTEN:
                rows = [trade(number, symbol=symbol), trade(number, symbol=symbol, price=D(0))]
                report = await ingest_trades_async(connection, rows, source="f", id_space="trade")
                assert (report.inserted, report.quarantined) == (1, 1)
                await ingest_options_async(connection, [quote(1), quote(1)], source="f")
                await write_exchange_candles_async(connection, [candle()], source="f")
                await write_predictions_async(connection, [prediction()])
                await write_positions_async(connection, [position()])

    async def both() -> None:
        await asyncio.gather(write("AA"), write("AB"))

    asyncio.run(both())


def test_live_writers(pooled: str) -> None:
    def threads(symbol: str) -> int:
        with TickWriter(pooled, source=symbol, id_space="trade", batch_rows=5) as writer:
            for number in range(30):
                writer.put(trade(number // 2, symbol=symbol))  # each twice, so that it is staged
                writer.put(trade(number, symbol=symbol, volume=D(-1)))
        return writer.metrics().written

    async def loop(symbol: str) -> int:
        async with AsyncTickWriter(pooled, source=symbol, id_space="trade", batch_rows=5) as writer:
            for number in range(30):
                await writer.put(quote(number, underlying=symbol))
        return writer.metrics().written

    with ThreadPoolExecutor(3) as pool:
        done = pool.map(threads, ("L1", "L2", "L3"))
        assert asyncio.run(loop("L4")) == 30
        assert list(done) == [15, 15, 15]


def test_files(pooled: str, tmp_path: Path) -> None:
    def path(symbol: str, text: str) -> Path:
        file = tmp_path / f"{symbol}.csv"
        file.write_text(HEADER + lines(2000, symbol) + text)
        return file

    def load(symbol: str) -> None:
        file = path(symbol, lines(3, symbol) + "x,BTC,oops,9,9,1,1\n")
        with connected(pooled) as client:
            report = load_trades(client, file, batch_rows=200).report
            again = load_trades(client, path(symbol, ""), batch_rows=200).report
        assert (report.inserted, report.already_there, report.quarantined) == (2000, 3, 1)
        assert again.already_there == 2000

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(load, ("C1", "C2", "C3")))
    said = leaves(pooled, "load", "trades", str(path("C4", "x,BTC,oops,9,9,1,1\n")))
    assert "2000 rows stored, 0 were there already, 1 in quarantine" in said
    assert "2000 unchanged" in succeeds(pooled, "load", "trades", "--replace", str(path("C4", "")))
    with connected(pooled) as client:
        # an answer that is given up in the middle
        for _ in OFTEN:
            whole = queries.trades("C1", "x", NOON, NOON + timedelta(days=3))
            batches = whole.record_batches(client)
            next(batches)
            batches.close()
        assert len(whole.fetch(client)) == 2000


def test_commands(pooled: str, seeded: Database, tmp_path: Path) -> None:
    """What they say is what they say without a pooler."""
    candles = tmp_path / "candles.csv"
    candles.write_text(OWN + "x,K,1m,2025-03-03T10:00:00Z,1,1,1,1,1,1,1\n")
    for command in (
        ["status"],
        ["markets"],
        ["candles", "BTCUSDT", "--exchange", "binance-spot", "--interval", "1h"],
        ["check"],
        ["check", "--against", "exchange"],
        ["rebuild", "2024-03-01", "2024-03-02"],
        ["maintain", "--dry-run"],
        ["archive", "list"],
        ["markets", "set", "BTCUSDT", "binance-spot", "kind=spot"],
        ["load", "candles", str(candles)],
    ):
        direct, through = entasis(seeded, *command), entasis(pooled, *command)
        assert through.exit_code == direct.exit_code, (command, through.output)
        if command[0] != "load":
            assert through.output == direct.output


def test_helpers(pooled: str) -> None:
    span = MARCH, MARCH + timedelta(days=1)

    def look(client: psycopg.Connection[Any]) -> None:
        assert check_candles(client, *span) == []
        assert check_ids(client, *span) == []
        assert archived_ranges(client) == []
        assert maintenance_plan(client) is not None

    def mend(client: psycopg.Connection[Any]) -> None:
        refresh_candles(client, *span)
        rebuild_candles(client, *span)
        set_market(client, "BTC", "x", tick_size="0.1")

    by_turns(pooled, look, mend)
    # it asks twice whether there is a table
    by_turns(pooled, lambda client: ledger.status(client).pending, often=range(4))


def test_nobody_acts_for_anothers_user(seeded: Database, server: Server) -> None:
    """Of clients that share one session, each acts for its own user, and then for nobody."""

    def mine(client: psycopg.Connection[Any], user: UUID) -> None:
        with acting_for(client, user):
            write_positions(client, [position(user_id=user)])
            assert {row.user_id for row in queries.portfolio(user).fetch(client)} == {user}
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="acts for nobody"):
            queries.portfolio(user).fetch(client)

    async def mine_too(dsn: str, user: UUID) -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as client:
            for _ in OFTEN:
                async with acting_for_async(client, user):
                    rows = await queries.portfolio(user).fetch_async(client)
                    assert {row.user_id for row in rows} == {user}
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await queries.portfolio(user).fetch_async(client)

    async def both(dsn: str) -> None:
        await asyncio.gather(mine_too(dsn, ADA), mine_too(dsn, BOB))

    with (
        server.login("entasis_writer", "entasis_service") as (name, password),
        pooler(seeded.dsn, logins={name: password}) as dsn,
    ):
        dsn = make_conninfo(dsn, user=name, password=password)
        by_turns(dsn, lambda client: mine(client, ADA), lambda client: mine(client, BOB))
        asyncio.run(both(dsn))
