"""The side of a trade, as each layout states it: who took, never who made."""

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from decimal import localcontext
from pathlib import Path

import pytest

from entasis_db.model import Side
from entasis_db.readers import REJECTIONS, Rejected, TradeRow, read_trades
from tests.engines import SAMPLES
from tests.unit.readers.support import ENTASIS, MS, Write, feed_standard_input, packed, trades
from tests.unit.readers.test_trades import STREAM

WITH_SIDE = ENTASIS.replace("\n", ",side\n")


def test_entasis_with_sides(write: Write) -> None:
    path = write(WITH_SIDE + "x,A,1000,0,1,1,1,buy\nx,A,1000,1,2,1,1,sell\nx,A,1000,2,3,1,1,\n")
    assert read_trades(path).layout == "entasis"
    assert [trade.side for trade in trades(path)] == ["buy", "sell", None]
    assert [trade.side for trade in trades(write(ENTASIS + "x,A,1000,0,1,1,1\n"))] == [None]


def test_what_is_no_side_is_left_to_the_rules(write: Write) -> None:
    assert [t.side for t in trades(write(WITH_SIDE + "x,A,1000,0,1,1,1,BUY\n"))] == ["BUY"]


def test_a_line_without_the_column_that_its_file_has(write: Write) -> None:
    (row,) = read_trades(write(WITH_SIDE + "x,A,1000,0,1,1,1\n"))
    assert isinstance(row, Rejected)
    assert row.code == "fields"


TRADES = "BTCUSDT-trades-2024-08-08.csv", "5,61804.80,0.1,6180.48,{ms},{flag},True\n"
FUTURES = "BTCUSDT-trades-2024-08-08.csv", "5,61804.80,0.1,6180.48,{ms},{flag}\n"
AGGTRADES = "BTCUSDT-aggTrades-2024-08-08.csv", "5,61804.80,0.1,100,102,{ms},{flag},True\n"
CAPTURE = "stream.csv", STREAM + "1,s@trade,trade,1,{ms},TRXUSDT,5,0.2,243.0,{flag},MARKET\n"


@pytest.mark.parametrize("file", [TRADES, FUTURES, AGGTRADES, CAPTURE])
@pytest.mark.parametrize(
    ("flag", "side"),
    [
        *[(text, "sell") for text in ("true", "True", "TRUE")],
        *[(text, "buy") for text in ("false", "False", "FALSE")],
    ],
)
def test_who_is_not_the_maker_took(
    write: Write, file: tuple[str, str], flag: str, side: str
) -> None:
    name, line = file
    (row,) = read_trades(write(line.format(ms=MS, flag=flag), name), exchange="x")
    assert isinstance(row, TradeRow)
    assert row.trade.side == side


@pytest.mark.parametrize(("flag", "side"), [("1", "sell"), ("0", "buy")])
def test_captures_write_numbers(write: Write, flag: str, side: str) -> None:
    name, line = CAPTURE
    assert [t.side for t in trades(write(line.format(ms=MS, flag=flag), name))] == [side]


@pytest.mark.parametrize("flag", ["", "2", "maker", "tru", "none"])
def test_a_flag_that_says_nothing_is_no_line_of_binance(write: Write, flag: str) -> None:
    name, line = CAPTURE
    (row,) = read_trades(write(line.format(ms=MS, flag=flag), name))
    assert isinstance(row, Rejected)
    assert row.code == "side"
    assert row.code in REJECTIONS
    assert f"{flag!r}" in row.reason


# --- real data -----------------------------------------------------------------------------------


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no real samples at {SAMPLES}")
def test_every_side_of_a_real_stream_is_what_its_line_says() -> None:
    path = SAMPLES / "stream_binance_trxusdt_2025-03-04.csv.gz"
    with gzip.open(path, "rt") as text:
        lines = list(csv.DictReader(line for line in text if not line.startswith("#")))
    said = {int(line["TradeId"]): line["IsBuyerMarketMaker"] for line in lines}
    assert Counter(said.values()).keys() == {"0", "1"}
    assert len(said) == 10_000
    found = {trade.id: trade.side for trade in trades(path)}
    assert found == {number: {"1": "sell", "0": "buy"}[flag] for number, flag in said.items()}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no real samples at {SAMPLES}")
@pytest.mark.parametrize(
    "name", ["trades_binance_2024-08-08.csv.gz", "trades_phemex_2021-07-03.csv.gz"]
)
def test_a_real_file_without_sides_gets_none(name: str) -> None:
    assert {trade.side for trade in trades(SAMPLES / name)} == {None}


# --- sizes with a sign ---------------------------------------------------------------------------

SIGNED = ENTASIS + (
    "bitfinex,tBTCUSD,1748736000123000000,1,1,104000,0.5\n"
    "kraken,XBTUSD,1748736000123000000,2,2,104000,0.5\n"
    "bitfinex,tBTCUSD,1748736000123000000,3,3,104000,-0.50\n"
    "bitfinex,tETHUSD,1748736000123000000,4,4,104000, -1E-7\n"
    "bitfinex,tBTCUSD,1748736000123000000,5,5,104000,2\n"
    "bitfinex,tBTCUSD,1748736000123000000,6,6,-104000,2\n"
)


def sizes(path: Path | str) -> list[tuple[str, Side | None]]:
    return [(str(trade.volume), trade.side) for trade in trades(path)]


@packed
def test_a_sign_says_who_took_in_its_market(write: Write, pack: Callable[[bytes], bytes]) -> None:
    """Also for the trades before the first that was sold, but not in other markets."""
    assert sizes(write(pack(SIGNED.encode()))) == [
        *(("0.5", "buy"), ("0.5", None), ("0.50", "sell"), ("1E-7", "sell"), ("2", "buy")),
        ("2", "buy"),
    ]


def test_a_pipe_knows_signs_from_the_first_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed_standard_input(monkeypatch, SIGNED.encode())
    assert sizes("-") == [
        *(("0.5", None), ("0.5", None), ("0.50", "sell"), ("1E-7", "sell"), ("2", "buy")),
        ("2", "buy"),
    ]


def test_a_sign_and_a_side_that_agree_or_do_not(write: Write) -> None:
    header = ENTASIS.replace("\n", ",side\n")
    row = "x,A,1748736000123000000,1,{},1,{},{}\n"
    told = [("-2", "sell"), ("-2", "buy"), ("-2", ""), ("2", "buy"), ("2", "sell"), ("2", "")]
    told += [("-0", ""), ("-Infinity", ""), ("-NaN", "")]
    path = write(header + "".join(row.format(n, *t) for n, t in enumerate(told)))
    found = list(read_trades(path))
    assert isinstance(found[1], Rejected)
    assert found[1].code == "side"
    assert [(str(r.trade.volume), r.trade.side) for r in found if isinstance(r, TradeRow)] == [
        *(("2", "sell"), ("2", "sell"), ("2", "buy"), ("2", "sell"), ("2", "buy")),
        *(("-0", "buy"), ("-Infinity", "buy"), ("-NaN", "buy")),
    ]


def test_a_sign_is_taken_off_without_rounding(write: Write) -> None:
    digits = "99999999999999999999.123456789012345678"
    with localcontext(prec=5):
        found = sizes(write(ENTASIS + f"x,A,1748736000123000000,1,1,1,-{digits}\n"))
    assert found == [(digits, "sell")]
