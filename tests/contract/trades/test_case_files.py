"""Small files in the layouts of exchanges and vendors that once failed, read where they lie."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from entasis_db.exchange_candles import load_exchange_candles
from entasis_db.ingest import IngestReport, load_options, load_trades
from tests.db import Connection

pytestmark = [pytest.mark.samples, pytest.mark.newest_server, pytest.mark.native_speed_when_short]

JUNE = datetime(2025, 6, 1, tzinfo=UTC)
OF_2021 = datetime(2021, 6, 1, tzinfo=UTC)
MAY = datetime(2021, 5, 1, tzinfo=UTC)
USDM, CM, SPOT = "binance-usdm", "binance-cm", "binance-spot"


def us(moment: datetime, microseconds: int) -> datetime:
    return moment + timedelta(microseconds=microseconds)


# file, what is said of it, and what is stored: symbol, exchange, time, id, price, volume, side
FILES: list[tuple[str, dict[str, str], list[tuple[Any, ...]]]] = [
    (
        "layout/BTC-USDT-SWAP-trades-2025-06-01.csv",
        {},
        [("BTC-USDT-SWAP", "okx", us(JUNE, 123_000), 1500000001, "104000.1", "3", "buy")],
    ),
    (
        "layout/BTCUSD2021-06-01.csv",
        {},
        [("BTCUSD", "bybit", us(OF_2021, 500_000), None, "37300.5", "250", "sell")],
    ),
    (
        "layout/BTCUSDT2025-06-01.csv",
        {},
        [("BTCUSDT", "bybit", us(JUNE, 123_400), None, "104000.10", "0.012", "buy")],
    ),
    (
        "layout/BTCUSDT_2025-06-01_spot.csv",
        {},
        [("BTCUSDT-SPOT", "bybit", us(JUNE, 123_000), 0, "104000.10", "0.012", "buy")],
    ),
    (
        "layout/XBTUSD.csv",
        {"exchange": "kraken"},
        [
            ("XBTUSD", "kraken", JUNE, 0, "104000.1", "0.0025", None),
            ("XBTUSD", "kraken", JUNE, 1, "104000.1", "0.0025", None),
            ("XBTUSD", "kraken", us(JUNE, 3_000_000), 0, "104001", "0.1", None),
        ],
    ),
    (
        "layout/binance_trades_2025-06-01_BTCUSDT.csv",
        {},
        [("BTCUSDT", SPOT, us(JUNE, 123_456), 4990000001, "104000.1", "0.012", "buy")],
    ),
    (
        "layout/ccxt_trades.json",
        {"exchange": "okx", "symbol": "ETH-USDT-SWAP"},
        [("ETH-USDT-SWAP", "okx", us(JUNE, 123_000), 1500000001, "104000.1", "3", "buy")],
    ),
    (
        "layout/coinbase.csv",
        {"symbol": "BTC-USD"},
        # the maker sold
        [("BTC-USD", "coinbase", us(JUNE, 123_456), 800000001, "104000.11", "0.00012345", "buy")],
    ),
    (
        "layout/deribit_trades.json",
        {},
        [("BTC-PERPETUAL", "deribit", us(JUNE, 123_000), 30289730, "104000.5", "100", "buy")],
    ),
    (
        "units/BTCUSD_PERP-trades-2021-05-01.csv",
        {"exchange": CM},
        [
            ("BTCUSD_PERP", CM, us(MAY, 5000), 150000001, "57700.1", "10", "buy"),
            ("BTCUSD_PERP", CM, us(MAY, 6000), 150000002, "57700.2", "1", "sell"),
        ],
    ),
    (
        "units/BTCUSD_PERP-trades-2025-06-01.csv",
        {"exchange": CM},
        [("BTCUSD_PERP", CM, us(JUNE, 5000), 950000001, "104000.1", "10", "buy")],
    ),
]


def test_each_file_is_what_it_says_and_stored_once(connection: Connection, samples: Path) -> None:
    wanted = []
    for name, options, rows in FILES:
        path = samples.parent / "cases" / name
        assert load_trades(connection, path, **options).report == IngestReport(len(rows)), name
        assert load_trades(connection, path, **options).report == IngestReport(0, len(rows)), name
        wanted += [(*row[:4], *map(Decimal, row[4:6]), row[6]) for row in rows]
    found = connection.execute(
        "SELECT symbol, exchange, timestamp, CASE WHEN source_id IS NULL THEN id END,"
        " price, volume, side FROM entasis.market_data"
    ).fetchall()
    assert sorted(found, key=str) == sorted(wanted, key=str)
    units = dict(
        connection.execute(
            "SELECT symbol || ' ' || exchange, volume_unit FROM entasis.markets"
        ).fetchall()
    )
    assert units[f"BTCUSD_PERP {CM}"] == units["BTC-USDT-SWAP okx"] == "contracts"
    assert units[f"BTCUSDT {SPOT}"] == "base"


def test_quotes_and_candles(connection: Connection, samples: Path) -> None:
    layouts = samples.parent / "cases" / "layout"
    for name in ("deribit_ticker.json", "deribit_options_chain_2025-06-01_OPTIONS.csv"):
        assert load_options(connection, layouts / name).report == IngestReport(1)
    found = connection.execute(
        "SELECT underlying, strike_price, expiry_date, option_type, timestamp, iv, delta, gamma,"
        " vega, theta, rho FROM entasis.option_data"
    ).fetchall()
    numbers = map(Decimal, ("0.452", "0.65", "0.00002", "110.1", "-90.2", "40.1"))
    contract = ("BTC", Decimal(100000), datetime(2025, 6, 27, 8, tzinfo=UTC), "call")
    assert found == [(*contract, us(JUNE, 123_000), *numbers)] * 2
    klines = layouts / "BTCUSDT-1m-2025-01-01.csv"
    for new in (1, 0):
        report = load_exchange_candles(connection, klines, exchange=SPOT)
        assert (report.inserted, report.already_there) == (new, 1 - new)
    (row,) = connection.execute(
        "SELECT symbol, interval, bucket, open, high, low, close, volume"
        " FROM entasis.exchange_candles"
    ).fetchall()
    prices = ("93576", "93610.93", "93537.5", "93610.93", "8.21827")
    assert row == (
        *("BTCUSDT", "1m", datetime(2025, 1, 1, tzinfo=UTC)),
        *map(Decimal, prices),
    )
