"""Binance's venues told apart, and quantities that count contracts."""

import re
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from entasis_db.errors import LoadError
from entasis_db.readers import Rejected, TradeReader, TradeRow, read_trades
from tests.unit.readers.support import MS, Write
from tests.unit.readers.test_trades import STREAM, stream

D = Decimal
PERP = "BTCUSD_PERP-trades-2025-06-01.csv"
HEADER = "id,price,qty,base_qty,time,is_buyer_maker\n"


def contracts(path: Path, size: str | None = "100") -> TradeReader:
    reader = read_trades(path, exchange="binance-cm")
    reader.contract_size = None if size is None else D(size)
    return reader


@pytest.mark.parametrize("header", [HEADER, ""])
def test_quantities_of_coin_m_count_contracts(write: Write, header: str) -> None:
    # as published: one base quantity is cut, one is rounded
    path = write(
        header
        + f"950000001,104000.1,10,0.00961537,{MS},false\n"
        + f"950000002,57700.2,1,0.00173310,{MS},true\n"
        + f"950000003,78526.1,83.0,0.10569734,{MS},true\n",
        PERP,
    )
    reader = contracts(path)
    rows = list(reader)
    assert all(isinstance(row, TradeRow) for row in rows)
    assert [row.trade.volume for row in rows if isinstance(row, TradeRow)] == [10, 1, 83]
    assert reader.layout == "binance-trades"
    assert reader.contracts_of == ("binance-cm", "BTCUSD_PERP")


@pytest.mark.parametrize(
    ("price", "quantity", "base"),
    [
        ("104000.1", "10", "0.00961539"),  # more than rounding
        ("104000.1", "10", "0.00961536"),
        ("104000.1", "10", "1040001"),  # what USD-M states there
        ("104000.1", "10", "0.0961537"),  # a size of 1,000
        ("104000.1", "10", "NaN"),
        ("104000.1", "10", "Infinity"),
        ("104000.1", "10", "-0.00961537"),
    ],
)
def test_a_base_quantity_that_contradicts_is_rejected(
    write: Write, price: str, quantity: str, base: str
) -> None:
    path = write(HEADER + f"1,{price},{quantity},{base},{MS},false\n", PERP)
    (row,) = contracts(path)
    assert isinstance(row, Rejected)
    assert row.code == "base_quantity"
    assert f"{quantity} contracts of 100" in row.reason
    # a size that nobody knows contradicts nothing
    (row,) = contracts(path, size=None)
    assert isinstance(row, TradeRow)


@pytest.mark.parametrize("base", ["much", "1_0"])
def test_a_base_quantity_that_is_no_number_is_rejected(write: Write, base: str) -> None:
    (row,) = contracts(write(HEADER + f"1,104000.1,10,{base},{MS},false\n", PERP))
    assert isinstance(row, Rejected)
    assert row.code == "number"


@pytest.mark.parametrize(("price", "base"), [("NaN", "1"), ("Infinity", "1"), ("104000.1", "")])
def test_what_cannot_be_compared_is_left_to_others(write: Write, price: str, base: str) -> None:
    (row,) = contracts(write(HEADER + f"1,{price},10,{base},{MS},false\n", PERP))
    assert isinstance(row, TradeRow)


@pytest.mark.parametrize(
    ("header", "exchange", "name", "said"),
    [
        (HEADER, "binance-spot", "BTCUSDT", "header has base_qty"),
        (HEADER, "binance-usdm", "BTCUSDT", "header has base_qty"),
        ("", "binance-usdm", "BTCUSD_PERP", "BTCUSD_PERP is a name"),
        ("", "binance-spot", "BNBUSD_250627", "BNBUSD_250627 is a name"),
        ("", "binance-cm", "BTCUSDT", "no file of binance-cm"),
        ("", "binance-cm", "BTCUSDT_250627", "no file of binance-cm"),
        (HEADER.replace("base", "quote"), "binance-cm", "BTCUSD_PERP", "no file of binance-cm"),
    ],
)
def test_a_file_of_another_venue_is_refused(
    write: Write, header: str, exchange: str, name: str, said: str
) -> None:
    path = write(f"{header}1,104000.1,10,0.00961537,{MS},false\n", f"{name}-trades-2025-06-01.csv")
    with pytest.raises(LoadError, match=said):
        read_trades(path, exchange=exchange)


def test_aggregated_trades_of_another_venue_are_refused(write: Write) -> None:
    path = write(f"1,104000.1,10,1,2,{MS},false\n", "BTCUSD_PERP-aggTrades-2025-06-01.csv")
    with pytest.raises(LoadError, match="but of binance-cm"):
        read_trades(path, exchange="binance-usdm")
    (row,) = contracts(path)
    assert isinstance(row, TradeRow)
    assert row.trade.volume == 10


@pytest.mark.parametrize(
    ("symbol", "exchange"),
    [
        ("BTCUSDT", "binance-usdm"),
        ("BTCUSDT_250627", "binance-usdm"),
        ("BTCBUSD_210129", "binance-usdm"),
        ("ETHUSDC_250627", "binance-usdm"),
        ("BTCUSD_PERP", "binance-cm"),
        ("BTCUSD_250627", "binance-cm"),
        ("BNBUSD_250627", "binance-cm"),
        ("BNBUSD_PERP", "binance-cm"),
    ],
)
def test_futures_of_a_stream_are_told_apart_by_name(
    write: Write, symbol: str, exchange: str
) -> None:
    (row,) = read_trades(write(STREAM + stream(symbol)))
    assert isinstance(row, TradeRow)
    assert row.trade.exchange == exchange


def zipped(tmp_path: Path, name: str, inside: str) -> Path:
    path = tmp_path / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(inside, f"5,3500,1,3500,{MS},True,True\n" * 1000)
    return path


def test_an_archive_with_another_symbol_in_it_is_refused(tmp_path: Path) -> None:
    inside = "ETHUSDT-trades-2026-11-20.csv"
    path = zipped(tmp_path, "BTCUSDT-trades-2026-11-20.zip", inside)
    with pytest.raises(LoadError, match=re.escape(inside)) as caught:
        read_trades(path, exchange="binance-spot")
    assert "of BTCUSDT" in str(caught.value)
    assert "of ETHUSDT" in str(caught.value)
    # whoever says so knows better
    reader = read_trades(path, exchange="binance-spot", symbol="ETHUSDT")
    assert next(iter(reader))[1].symbol == "ETHUSDT"  # type: ignore[union-attr]


def test_the_file_in_an_archive_names_its_symbol(tmp_path: Path) -> None:
    path = zipped(tmp_path, "download (1).zip", "data/ETHUSDT-trades-2026-11-20.csv")
    reader = read_trades(path, exchange="binance-spot")
    assert reader.id_spaces or list(reader)
    assert list(reader.id_spaces) == [("binance-spot", "ETHUSDT")]
