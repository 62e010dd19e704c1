"""Files whose rows contradict their name, or their exchange's, are refused as a whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entasis_db.errors import LoadError
from entasis_db.exchange_candles import load_exchange_candles
from entasis_db.ingest import load_options, load_trades, replace_trades
from tests.contract.cli.support import fails, succeeds
from tests.engines import Database

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]

NS = 1723118400000000000
ENTASIS = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"
BYBIT = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional\n"
)
TARDIS = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
CANDLES = "exchange,symbol,interval,bucket,open,high,low,close,volume,quote_volume,trades\n"
OPTIONS = (
    "recv,instrument_name,timestamp,mark_iv,bid_iv,ask_iv,mark_price,underlying_price,"
    "open_interest,vega,theta,rho,gamma,delta\n"
)

Refused = Callable[..., str]


@pytest.fixture
def refused(emptied: Database, tmp_path: Path) -> Refused:
    """Load a file that must be refused, and return why; nothing of it may be stored."""

    def load(name: str, text: str, how: Any = load_trades, **options: Any) -> str:
        path = tmp_path / name
        path.write_text(text)
        with emptied.connect() as connection:
            with pytest.raises(LoadError) as caught:
                how(connection, path, **options)
            for relation in ("market_data", "option_data", "exchange_candles", "quarantine"):
                row = connection.execute(f"SELECT count(*) FROM entasis.{relation}").fetchone()
                assert row == (0,)
        return str(caught.value)

    return load


def ours(exchange: str = "x", symbol: str = "ETHUSDT", number: int = 1) -> str:
    return f"{exchange},{symbol},{NS + number * 1000},,{number},1,1\n"


def test_rows_of_another_symbol_than_the_files_name(refused: Refused) -> None:
    told = "by its name it is of BTCUSDT, and its rows are of ETHUSDT"
    name = "BTCUSDT-trades-2024-08-08.csv"
    assert told in refused(name, ENTASIS + ours())
    # not only in the first row
    assert told in refused(name, ENTASIS + ours(symbol="BTCUSDT") + ours(number=2))
    assert told in refused(name, ENTASIS + ours(), replace_trades)
    bybit = f"{BYBIT}1723118400.5,ETHUSDT,Buy,1,1,PlusTick,0a1b-c,1,1,1\n"
    assert told in refused("BTCUSDT2024-08-08.csv", bybit)
    tardis = f"{TARDIS}deribit,ETH-PERPETUAL,{NS // 1000},{NS // 1000},7,buy,1,1\n"
    said = refused("deribit_trades_2024-08-08_BTC-PERPETUAL.csv", tardis)
    assert "of BTC-PERPETUAL, and its rows are of ETH-PERPETUAL" in said
    given = "timestamp=ts,price=px,volume=qty,id=tid,symbol=s"
    columns = {"columns": given, "time_unit": "ns", "exchange": "x"}
    assert told in refused(name, f"ts,px,qty,tid,s\n{NS},1,1,1,ETHUSDT\n", **columns)
    candle = f"{CANDLES}x,ETHUSDT,1m,2024-08-08T12:00:00Z,1,1,1,1,1,,\n"
    assert told in refused("BTCUSDT-1m-2024-08-08.csv", candle, load_exchange_candles)
    quote = f"{OPTIONS}1,ETH-27DEC24-5000-C,1723118400000,50,,,1,1,1,0.1,1,1,0,0.5\n"
    said = refused("deribit_options_chain_2024-08-08_BTC-27DEC24-5000-C.csv", quote, load_options)
    assert "of BTC, and its rows are of ETH" in said


def test_parquet_of_another_symbol_or_venue(emptied: Database, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def load(name: str, symbol: str, exchange: str) -> None:
        columns = {
            "id": pa.array([1]),
            "symbol": pa.array([symbol]),
            "exchange": pa.array([exchange]),
            "timestamp": pa.array([NS // 1000], pa.timestamp("us", "UTC")),
            "price": pa.array([1]),
            "volume": pa.array([1]),
        }
        parquet.write_table(pa.table(columns), tmp_path / name)
        with emptied.connect() as connection:
            load_trades(connection, tmp_path / name, id_space="trade")

    with pytest.raises(LoadError, match="its rows are of ETHUSDT"):
        load("BTCUSDT-trades-2024-08-08.parquet", "ETHUSDT", "x")
    with pytest.raises(LoadError, match=r"nearly binance-spot; write binance-spot "):
        load("t.parquet", "ETHUSDT", "binance")
    with pytest.raises(LoadError, match="market of binance-usdm, not of binance-cm"):
        load("t.parquet", "BTCUSDT_240329", "binance-cm")
    with pytest.raises(LoadError, match=r"write BTCUSDT$"):
        load("t.parquet", "btcusdt", "binance-spot")
    load("BTCUSDT-trades-2024-08-08.parquet", "BTCUSDT", "binance-spot")


def test_an_exchange_that_is_nearly_a_known_one(
    refused: Refused, emptied: Database, tmp_path: Path
) -> None:
    for name, right in [("okex", "okx"), ("Bybit", "bybit"), ("binance_usdm", "binance-usdm")]:
        assert f"nearly {right}; write {right} in its rows" in refused(
            "t.csv", ENTASIS + ours(name)
        )
    spot = f"1,100,1,100,{NS // 1000000},True,True\n"
    said = refused("BTCUSDT-trades-2024-08-08.csv", spot, exchange="binance")
    assert "write --exchange binance-spot (or binance-usdm, binance-cm)" in said
    kline = f"{NS // 1000000},1,1,1,1,5,{NS // 1000000},5,4,1,1,0\n"
    said = refused("BTCUSDT-1m-2024-08-08.csv", kline, load_exchange_candles, exchange="Binance")
    assert "--new-exchange" in said
    given = {"columns": "timestamp=ts,price=px,volume=qty", "time_unit": "ns", "symbol": "A"}
    said = refused("t.csv", f"ts,px,qty\n{NS},1,1\n", exchange="Kraken", **given)
    assert "write --exchange kraken, or pass --new-exchange" in said


def test_lists_of_instruments_make_no_such_markets_either(
    emptied: Database, tmp_path: Path
) -> None:
    path = tmp_path / "exchangeInfo.json"
    path.write_text('{"symbols": []}')
    said = fails(emptied, "markets", "import", str(path), "--exchange", "binance_cm")
    assert "nearly binance-cm; write --exchange binance-cm" in said


def test_whoever_insists_is_asked_once(emptied: Database, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(ENTASIS + ours("krakem"))
    assert "nearly kraken" in fails(emptied, "load", "trades", str(path))
    assert "1 rows stored" in succeeds(emptied, "load", "trades", str(path), "--new-exchange")
    # now it is known, and other names are near to it
    assert "1 were there already" in succeeds(emptied, "load", "trades", str(path))
    path.write_text(ENTASIS + ours("krakem-extra", number=2))
    succeeds(emptied, "load", "trades", str(path))
    path.write_text(ENTASIS + ours("KRAKEM", number=3))
    assert "nearly krakem; write krakem" in fails(emptied, "load", "trades", str(path))


def test_standard_input_has_no_name_and_an_exchange(
    emptied: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "BTCUSDT-trades-2024-08-08.csv"
    path.write_text(ENTASIS + ours() + ours("okex", number=2))
    with path.open() as pipe, emptied.connect() as connection:
        monkeypatch.setattr("sys.stdin", pipe)
        with pytest.raises(LoadError, match="standard input: okex is no exchange"):
            load_trades(connection, "-")


def test_what_was_stored_before_is_said(emptied: Database, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-2024-08-08.csv"
    lines = [ours(symbol="BTCUSDT", number=n) for n in (1, 2)]
    path.write_text(ENTASIS + "".join(lines) + ours(number=3))
    with (
        emptied.connect() as connection,
        pytest.raises(LoadError, match="2 rows of it are stored now"),
    ):
        load_trades(connection, path, batch_rows=2)
