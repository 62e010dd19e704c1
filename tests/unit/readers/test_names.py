"""What a file says is believed before what its name suggests."""

from pathlib import Path

import pytest

from entasis_db.errors import LoadError
from entasis_db.ingest.exchanges import known_exchanges, near
from entasis_db.readers import read_trades
from entasis_db.readers.candles import read_candles
from entasis_db.readers.names import is_named, named_symbol
from tests.unit.readers.support import MS, US, Write, trades
from tests.unit.readers.test_trades import STREAM, stream

SPOT_TRADES = f"1,100,1,100,{MS},True,True\n"
FUTURES_TRADES = f"1,100,1,100,{MS},true\n"
KLINE = "{},1,1,1,1,5,{},5,4,1,1,0\n"
KLINE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)


@pytest.mark.parametrize(
    ("content", "name", "exchange", "right"),
    [
        (SPOT_TRADES, "BTCUSDT-trades-2024-01.csv", "binance-usdm", "binance-spot"),
        (SPOT_TRADES, "BTCUSD_PERP-trades-2024-01.csv", "binance-cm", "binance-spot"),
        (FUTURES_TRADES, "BTCUSDT-trades-2024-01.csv", "binance-spot", "binance-usdm"),
        (FUTURES_TRADES, "BTCUSD_PERP-trades-2024-01.csv", "binance-spot", "binance-cm"),
        (FUTURES_TRADES, "BTCUSDT_240329-trades-2024-01.csv", "binance-cm", "binance-usdm"),
        (SPOT_TRADES, "BTCUSDT_240329-trades-2024-01.csv", "binance-spot", "binance-usdm"),
        (f"1,2,1,1,2,{MS},true,true\n", "A-aggTrades-2024-01.csv", "binance-usdm", "binance-spot"),
        (f"1,2,1,1,2,{MS},true\n", "A-aggTrades-2024-01.csv", "binance-spot", "binance-usdm"),
    ],
)
def test_columns_of_another_venue_are_refused_with_what_to_write(
    write: Write, content: str, name: str, exchange: str, right: str
) -> None:
    path = write(content, name)
    with pytest.raises(LoadError, match=f"write --exchange {right}$"):
        read_trades(path, exchange=exchange)


@pytest.mark.parametrize("field", ["X", "M"])
def test_a_stream_given_for_the_other_market_is_refused(write: Write, field: str) -> None:
    path = write(STREAM.replace("XUnknown", f"{field}Unknown") + stream("BTCUSDT"))
    given, right = ("binance-spot", "binance-usdm")[:: 1 if field == "X" else -1]
    with pytest.raises(LoadError, match=f"write --exchange {right}$"):
        read_trades(path, exchange=given)
    assert trades(path, exchange=right)[0].exchange == right


@pytest.mark.parametrize(
    ("content", "name", "exchange", "right"),
    [
        (KLINE.format(US, US + 1), "BTCUSDT-1m-2025-01-01.csv", "binance-usdm", "binance-spot"),
        (KLINE_HEADER, "BTCUSDT-1m-2025-01-01.csv", "binance-spot", "binance-usdm"),
        (KLINE.format(MS, MS), "BTCUSD_PERP-1m-2024-01.csv", "binance-usdm", "binance-cm"),
        (KLINE.format(MS, MS), "BTCUSDT_240329-1m-2024-01.csv", "binance-cm", "binance-usdm"),
    ],
)
def test_klines_of_another_venue_are_refused(
    write: Write, content: str, name: str, exchange: str, right: str
) -> None:
    path = write(content, name)
    with pytest.raises(LoadError, match=f"write --exchange {right}$"):
        read_candles(path, exchange=exchange)
    read_candles(path, exchange=right)


@pytest.mark.parametrize(
    ("content", "name", "how", "symbol"),
    [
        (SPOT_TRADES, "btcusdt-trades-2024-01.csv", {"exchange": "binance-spot"}, "BTCUSDT"),
        (SPOT_TRADES, "x", {"exchange": "binance-spot", "symbol": "btcusdt"}, "BTCUSDT"),
        (
            f"id,timestamp,price,volume,side,rpi\n1,{MS},1,1,buy,0\n",
            "btcusdt_2024-08-08.csv.gz",
            {},
            "BTCUSDT-SPOT",
        ),
        (
            f"trade_id,side,size,price,created_time\n1,BUY,1,1,{MS}\n",
            "btc-usdt-swap-trades-2021-10-01.csv",
            {},
            "BTC-USDT-SWAP",
        ),
        (f"{MS // 1000},1,1\n", "xbtusd.csv", {"exchange": "kraken"}, "XBTUSD"),
        (
            "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
            f"binance-futures,btcusdt,{MS}000,{MS}000,7,buy,1,1\n",
            "t.csv",
            {},
            "BTCUSDT",
        ),
        (
            f"ts,px,qty,tid,s\n{MS},1,1,1,btcusdt\n",
            "t.csv",
            {
                "columns": "timestamp=ts,price=px,volume=qty,id=tid,symbol=s",
                "time_unit": "ms",
                "exchange": "okx",
            },
            "BTCUSDT",
        ),
        # whose symbols have small letters
        (
            f"ts,px,qty\n{MS},1,1\n",
            "t.csv",
            {
                "columns": "timestamp=ts,price=px,volume=qty",
                "time_unit": "ms",
                "exchange": "gemini",
                "symbol": "btcusd",
            },
            "btcusd",
        ),
    ],
)
def test_small_letters_are_no_new_market(
    write: Write, content: str, name: str, how: dict[str, str], symbol: str
) -> None:
    (trade,) = trades(write(content, name), **how)
    assert trade.symbol == symbol


def test_klines_in_small_letters_are_of_the_same_market(write: Write) -> None:
    path = write(KLINE.format(MS, MS), "btcusdt-1mo-2024-01.csv")
    assert read_candles(path, exchange="binance-usdm").market == ("BTCUSDT", "binance-usdm", "1mo")


def test_the_months_of_bybit_spot_name_their_symbol(write: Write, tmp_path: Path) -> None:
    path = write(f"id,timestamp,price,volume,side\n1,{MS},1,1,buy\n", "BTCUSDT-2022-11.csv.gz")
    assert trades(path)[0].symbol == "BTCUSDT-SPOT"


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSDT-trades-2024-01-01.zip", "BTCUSDT"),
        ("btcusdt-aggTrades-2024-01 (1).csv.gz", "BTCUSDT"),
        ("BTCUSDT-trades-2024-01-01.parquet", "BTCUSDT"),
        ("BTC-USDT-SWAP-trades-2025-06-01.csv", "BTC-USDT-SWAP"),
        ("BTCUSD_PERP-1mo-2025-06.csv", "BTCUSD_PERP"),
        ("BTCUSDT_240329-1m-2024-01-01.csv", "BTCUSDT_240329"),
        ("BTCUSDU212021-06-01.csv.gz", "BTCUSDU21"),
        ("deribit_trades_2025-06-01_BTC-PERPETUAL.csv.gz", "BTC-PERPETUAL"),
        ("deribit_options_chain_2025-06-01_BTC-27JUN25-100000-C.csv", "BTC-27JUN25-100000-C"),
        ("deribit_options_chain_2025-06-01_OPTIONS.csv.gz", None),
        *((f"{word}-trades-2024-01.csv", None) for word in ("all", "binance", "my-desk", "OKX")),
        ("export2024-01-01.csv", None),
        ("trades_binance_2024-08-08.csv.gz", None),
        ("ticks_2025-06-01.csv", None),
        ("standard input", None),
    ],
)
def test_what_a_name_states(name: str, symbol: str | None) -> None:
    assert named_symbol(name) == symbol


def test_a_symbol_is_the_one_that_is_named() -> None:
    assert is_named("BTCUSDT", "BTCUSDT")
    assert is_named("BTC-USDT", "BTC/USDT")  # Tardis has no / in names
    assert is_named("BTCUSDT", "BTCUSDT-SPOT")
    assert is_named("BTCUSDT-ETHUSDT", "ETHUSDT")
    assert not is_named("BTCUSDT", "BTCUSD")
    assert not is_named("BTCUSDT", "ETHUSDT")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("binance", ["binance-spot", "binance-usdm", "binance-cm"]),
        ("Binance", ["binance-spot", "binance-usdm", "binance-cm"]),
        ("bybit-spo", ["bybit-spot"]),
        ("venue", ["venue-one", "venue-two"]),
        ("binance_usdm", ["binance-usdm"]),
        ("BINANCE-SPOT", ["binance-spot"]),
        ("binance-futures", ["binance-usdm"]),
        ("binancecoinm", ["binance-cm"]),
        ("Bybit", ["bybit"]),
        ("okex", ["okx"]),
        ("OKX", ["okx"]),
        ("coinbase-pro", ["coinbase"]),
        *((slip, ["kraken"]) for slip in ("krakn", "krakenn", "kraked", "rkaken", "Kraken")),
        *((slip, ["deribit"]) for slip in ("deribt", "deirbit", "derebit")),
        ("venue1", ["Venue1"]),
        *(
            (name, [])
            for name in (
                *("kraken", "binance-spot", "binance-us", "upbit", "bitmex", "bitget", "x", "y"),
                *("kraken-futures", "venue2", "gemini", "hyperliquid", "bithumb", "upbyt", "bit"),
            )
        ),
    ],
)
def test_names_that_are_nearly_known(name: str, found: list[str]) -> None:
    assert near(name, {*known_exchanges(), "Venue1", "venue-one", "venue-two"}) == found
