"""What writes says on a replica that it needs the primary, and not which statement was refused."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entasis_db import (
    archive,
    candles,
    exchange_candles,
    ingest,
    instruments,
    maintenance,
    migrate,
    reopening,
)
from entasis_db.errors import NoWritesError
from entasis_db.model import ExchangeCandle
from tests.contract.cli.support import HEADER, entasis, lines
from tests.contract.installation.test_search_path import COMMANDS, ON_DISK
from tests.contract.portfolio.test_write import position
from tests.contract.predictions.test_write import prediction
from tests.db import ensure
from tests.make import NOON, quote, trade
from tests.replicas.rig import Servers

pytestmark = [pytest.mark.own_cluster, pytest.mark.standby, pytest.mark.newest_server]


@pytest.fixture(autouse=True)
def stored(trio: Servers) -> None:
    """Trades on both sides: without any, some have nothing to write."""
    with trio.connect(trio.primary) as connection:
        ensure(connection, "market_data", NOON, NOON + timedelta(days=1))
        rows = [trade(10**6 + n, timestamp=NOON + timedelta(seconds=n)) for n in range(9)]
        ingest.ingest_trades(connection, rows, source="f", id_space="trade")
    trio.caught_up()


# what has to be refused; others work, or need a dump or a backup first
WRITES = {
    *("migrate", "load", "rebuild", "dump", "restore", "reopen"),
    *("markets set", "archive --to", "maintain"),
}


def test_every_command_works_or_says_what_it_needs(trio: Servers, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(HEADER + lines(20))
    (tmp_path / "c.csv").write_text(
        "exchange,symbol,interval,bucket,open,high,low,close,volume,quote_volume,trades\n"
        "x,BTC,1m,2024-08-08T12:00:00Z,1,1,1,1,1,1,1\n"
    )
    dsn = trio[trio.replicas[0]].dsn()
    for name, forms in COMMANDS.items():
        for arguments in forms:
            place = str(tmp_path) if name in ON_DISK else tmp_path.as_uri()
            filled = [name, *(each.replace("{folder}", place) for each in arguments)]
            result = entasis(dsn, *filled)
            assert "cannot execute" not in result.output, filled
            needs_primary = result.exit_code == 1 and "primary" in result.stderr
            if needs_primary:
                assert result.stderr.count("\n") == 1, (filled, result.output)
            if {name, " ".join(filled[:2])} & WRITES and "--dry-run" not in filled:
                assert needs_primary, (filled, result.output)


def test_every_function_says_what_it_needs(trio: Servers, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(HEADER + lines(20))
    store = archive.open_store(tmp_path.as_uri())
    hour, day = NOON + timedelta(hours=1), NOON.replace(hour=0)
    ones = map(Decimal, (1, 1, 1, 1, 1))
    candle = ExchangeCandle("BTC", "x", "1m", NOON, *ones)
    dsn = trio[trio.replicas[0]].dsn()
    asked: list[Callable[[psycopg.Connection[Any]], object]] = [
        lambda c: ingest.ingest_trades(c, [trade(1)], source="f", id_space="trade"),
        lambda c: ingest.ingest_options(c, [quote(1)], source="f"),
        lambda c: ingest.load_trades(c, file),
        lambda c: ingest.replace_trades(c, file, from_time=NOON, to_time=hour),
        lambda c: ingest.write_predictions(c, [prediction()]),
        lambda c: ingest.write_positions(c, [position()]),
        lambda c: exchange_candles.write_exchange_candles(c, [candle], source="f"),
        lambda c: instruments.set_market(c, "BTC", "x", kind="spot"),
        lambda c: candles.rebuild_candles(c, NOON, hour),
        lambda c: maintenance.maintain(c),
        lambda c: archive.archive(c, store),
        lambda c: archive.restore(c, store, "market_data", NOON, hour),
        lambda c: reopening.reopen(c, "market_data", day, day + timedelta(days=1), store=store),
        lambda _: migrate.migrate(dsn),
    ]
    said = {}
    for number, ask in enumerate(asked):
        with psycopg.connect(dsn, autocommit=True) as connection:
            try:
                ask(connection)
            except Exception as error:  # noqa: BLE001 - all are compared at once
                said[number] = f"{type(error).__name__}: {error}"
            else:
                said[number] = "it has written to a replica"
    told = {
        number: text
        for number, text in said.items()
        if not text.startswith(("SessionError", "NoWritesError")) or "primary" not in text
    }
    assert told == {}

    async def ingested() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await ingest.ingest_trades_async(connection, [trade(1)], source="f", id_space="trade")

    with pytest.raises(NoWritesError) as caught:
        asyncio.run(ingested())
    # so that whoever retries by the server's code goes on doing so
    assert caught.value.sqlstate == "25006"
    assert isinstance(caught.value, psycopg.errors.ReadOnlySqlTransaction)
