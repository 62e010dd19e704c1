"""What exchanges publish is stored once, however often it comes and from where."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from entasis_db.errors import LoadError
from entasis_db.ingest import IngestReport, load_trades
from tests import oracle
from tests.contract.trades.support import ingest
from tests.db import Connection
from tests.make import D, trade

pytestmark = [pytest.mark.newest_server]

BASE = datetime(2025, 6, 1, tzinfo=UTC)
KRAKEN = "1748736000,104000.1,0.0025\n1748736000,104000.1,0.0025\n1748736003,104001.0,0.1\n"


def test_a_file_of_okx_and_its_live_feed(connection: Connection, tmp_path: Path) -> None:
    """Both state milliseconds, and the exchange's own id."""
    path = tmp_path / "BTC-USDT-SWAP-trades-2025-06-01.csv.gz"
    header = "instrument_name,trade_id,side,price,size,created_time\n"
    row = "BTC-USDT-SWAP,1500000001,buy,104000.1,3,1748736000123\n"
    path.write_bytes(gzip.compress((header + row).encode()))
    live = trade(
        *(1500000001,),
        symbol="BTC-USDT-SWAP",
        exchange="okx",
        timestamp=BASE + timedelta(milliseconds=123),
        price=D("104000.1"),
        volume=D(3),
        side="buy",
    )
    assert load_trades(connection, path).report == IngestReport(1)
    assert load_trades(connection, path).report == IngestReport(0, 1)
    assert ingest(connection, live, id_space="trade", time_unit="ms") == IngestReport(0, 1)
    ((unit, kind, units),) = connection.execute(
        "SELECT volume_unit, kind, time_units FROM entasis.markets"
    ).fetchall()
    assert (unit, kind, units) == ("contracts", "linear_perpetual", ["ms"])
    key = ("BTC-USDT-SWAP", "okx", live.timestamp, live.id)
    oracle.assert_candles_are_right(connection, {key: (live.price, live.volume)})


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("XBTUSD.csv", KRAKEN, {"exchange": "kraken"}),
        (
            "any.csv",
            "ts,px,qty\n" + KRAKEN,
            {
                "columns": "timestamp=ts,price=px,volume=qty",
                "time_unit": "s",
                "exchange": "kraken",
                "symbol": "XBTUSD",
            },
        ),
    ],
)
def test_trades_without_ids_are_all_stored_and_once(
    connection: Connection, tmp_path: Path, name: str, text: str, options: dict[str, Any]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert load_trades(connection, path, **options).report == IngestReport(3)
    assert load_trades(connection, path, **options).report == IngestReport(0, 3)
    oracle.assert_candles_are_right(
        connection,
        {
            ("XBTUSD", "kraken", BASE, 0): (D("104000.1"), D("0.0025")),
            ("XBTUSD", "kraken", BASE, 1): (D("104000.1"), D("0.0025")),
            ("XBTUSD", "kraken", BASE + timedelta(seconds=3), 0): (D("104001"), D("0.1")),
        },
    )
    cut = tmp_path / "cut" / name
    cut.parent.mkdir()
    lines = text.splitlines(keepends=True)
    cut.write_text("".join(lines[: len(lines) - 2]))
    with pytest.raises(LoadError, match="at 2025-06-01T00:00:00 UTC"):
        load_trades(connection, cut, **options)
