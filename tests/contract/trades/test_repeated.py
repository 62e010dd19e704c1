"""A batch that is stored as a whole is compared with what is stored, and not staged."""

import asyncio
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from entasis_db.ids import digest_id
from entasis_db.ingest import IngestReport, ingest_arrow, ingest_trades, ingest_trades_async
from entasis_db.model import Trade
from tests.contract.trades.support import with_months
from tests.db import Connection
from tests.engines import Database
from tests.make import NOON, D, trade

pytestmark = [
    pytest.mark.copy,
    pytest.mark.native_speed,
    pytest.mark.newest_server_when_short,
]

Write = Callable[[Database, Connection, list[Trade], str], IngestReport]


def _rows(_: Database, connection: Connection, trades: list[Trade], ids: str) -> IngestReport:
    return ingest_trades(connection, trades, source="s", id_space=ids)


def _asynchronous(database: Database, _: Connection, trades: list[Trade], ids: str) -> IngestReport:
    async def write() -> IngestReport:
        async with await psycopg.AsyncConnection.connect(
            database.dsn, autocommit=True
        ) as connection:
            report = await ingest_trades_async(connection, trades, source="s", id_space=ids)
            row = await (
                await connection.execute(
                    "SELECT to_regclass('pg_temp.entasis_staged_trades') IS NULL"
                )
            ).fetchone()
            assert row == (True,) or report.inserted or not database.can("direct_copies")
            return report

    return asyncio.run(write())


def _arrow(_: Database, connection: Connection, trades: list[Trade], ids: str) -> IngestReport:
    schema = pa.schema(
        {
            "id": pa.int64(),
            **dict.fromkeys(("symbol", "exchange", "side", "source_id", "excluded"), pa.string()),
            "timestamp": pa.timestamp("us", "UTC"),
            "price": pa.decimal128(38, 12),
            "volume": pa.decimal128(38, 18),
        }
    )
    table = pa.Table.from_pylist([one._asdict() for one in trades], schema)
    if ids == "digest":
        table = table.set_column(0, "id", table.column("source_id")).drop_columns("source_id")
    report = ingest_arrow(connection, table, source="s", id_space=ids)
    return IngestReport(report.inserted, report.already_there, past_keep=report.past_keep)


def _at(number: int, **changes: Any) -> Trade:
    """Make a trade of a market whose ids rise with time."""
    return trade(number, timestamp=NOON + timedelta(microseconds=97 * number), **changes)


BATCHES: dict[str, list[Trade]] = {
    "one": [trade(1)],
    "fractions of a second": [
        trade(n, timestamp=NOON + timedelta(microseconds=n))
        for n in (0, 1, 10, 100_000, 123_000, 999_999, 1_000_000)
    ],
    "all that a trade has": [
        trade(1, side="buy"),
        trade(2, side="sell", excluded="adl"),
        trade(3, price=D("0.000001000001"), volume=D("99999999999999999999")),
    ],
    "exchanges that take turns": [
        _at(n, symbol=symbol, exchange="yxz"[n % 3]) for n in range(30) for symbol in ("B", "A")
    ],
    "ids that fall": [_at(9 - n, id=n) for n in range(9)],
    "one moment": [trade(n, timestamp=NOON) for n in range(5)],
    "another zone": [
        trade(n, timestamp=(NOON + timedelta(hours=n)).astimezone(timezone(timedelta(hours=-9))))
        for n in range(5)
    ],
    "many": [_at(n) for n in range(4321)],
}
WRITES = pytest.mark.parametrize("write", [_rows, _asynchronous, _arrow])


@WRITES
@pytest.mark.parametrize("what", BATCHES)
def test_it_is_all_there(
    database: Database, connection: Connection, write: Write, what: str, staged: list[str]
) -> None:
    batch = BATCHES[what]
    with_months(connection)
    assert write(database, connection, batch, "trade").inserted == len(batch)
    # between other trades, of the same moments too, and whatever the session's zone is
    first, *_, last = sorted([*batch, *batch], key=lambda t: (t.timestamp, t.id))
    for near, number in ((first, -7), (last, 100_000)):
        ingest_trades(connection, [near._replace(id=number)], source="s", id_space="trade")
    connection.execute("SET timezone = 'Asia/Kolkata'")
    staged.clear()
    assert write(database, connection, batch, "trade") == IngestReport(
        already_there=len(batch), past_keep=len(batch)
    )
    assert not staged or not database.can("direct_copies")


@WRITES
def test_digests(
    database: Database, connection: Connection, write: Write, staged: list[str]
) -> None:
    """COPY meets the stored ones first, because nothing says that ids might repeat."""
    texts = ["b1946ac9-2492-4d23", "é", "a\\b"]
    batch = [trade(n, id=digest_id(t), source_id=t) for n, t in enumerate(texts)]
    batch = batch[:1] if write is _arrow else batch  # its other ids are looked at one by one
    with_months(connection)
    assert write(database, connection, batch, "digest").inserted == len(batch)
    assert write(database, connection, batch, "digest").already_there == len(batch)
    assert not staged or not database.can("direct_copies")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (lambda t: t._replace(price=t.price + D("1E-12")), "quarantined"),
        (lambda t: t._replace(volume=t.volume * 2), "quarantined"),
        (lambda t: t._replace(side="sell"), "quarantined"),
        (lambda t: t._replace(excluded="adl"), "already_there"),
        (lambda t: t._replace(side=None), "already_there"),
        (lambda t: t._replace(price=t.price + D("0.000")), "already_there"),
        (lambda t: t._replace(id=t.id + 10_000), "inserted"),
        (lambda t: t._replace(symbol="NEW"), "inserted"),
        (lambda t: t._replace(timestamp=t.timestamp + timedelta(microseconds=1)), "quarantined"),
    ],
    ids=["price", "volume", "side", "excluded", "no side", "zeros", "id", "symbol", "time"],
)
@pytest.mark.parametrize("position", [0, 1234, 2999])
def test_one_trade_is_told_otherwise(
    connection: Connection, changed: Callable[[Trade], Trade], expected: str, position: int
) -> None:
    """Wherever it stands in the batch, SQL judges it as it always does."""
    batch = [_at(n, side="buy") for n in range(3000)]
    ingest_trades(connection, batch, source="s", id_space="trade")
    batch[position] = changed(batch[position])
    report = ingest_trades(connection, batch, source="s", id_space="trade")
    assert getattr(report, expected) == (3000 if expected == "already_there" else 1)
    assert report.inserted + report.already_there + report.quarantined == 3000
