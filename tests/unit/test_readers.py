"""The readers: every layout, every fault, exact numbers, stable ordinals, and the real samples."""

import gzip
import io
import os
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.errors import LoadError
from entasis_db.model import OptionQuote, Trade
from entasis_db.readers import (
    REJECTIONS,
    OptionRow,
    Rejected,
    TradeRow,
    files,
    read_options,
    read_trades,
)
from entasis_db.readers.rows import OrderError, Ordinals

ENTASIS = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"
STREAM = (
    "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,Quantity,"
    "IsBuyerMarketMaker,XUnknownParameter\n"
)
DERIBIT = (
    "recv,instrument_name,timestamp,mark_iv,bid_iv,ask_iv,mark_price,underlying_price,"
    "open_interest,vega,theta,rho,gamma,delta\n"
)
SPY = (
    "underlying,underlying_last,optionroot,type,expiration,quotedate,strike,last,bid,ask,"
    "volume,openinterest,impliedvol,delta,gamma,theta,vega,optionalias\n"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS, US = 1723161257679, 1735689600123456
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def plain(text: bytes) -> bytes:
    return text


def zipped(*members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, member in enumerate(members):
            archive.writestr(f"member{number}.csv", member)
    return buffer.getvalue()


PACKINGS: list[Callable[[bytes], bytes]] = [plain, gzip.compress, zipped]
packed = pytest.mark.parametrize("pack", PACKINGS, ids=["plain", "gzip", "zip"])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str | bytes, name: str = "trades.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Write = Callable[..., Path]


def trades(path: Path | str, **options: Any) -> list[Trade]:
    rows = list(read_trades(path, **options))
    assert all(isinstance(row, TradeRow) for row in rows), rows
    return [row.trade for row in rows if isinstance(row, TradeRow)]


def only_rejected(path: Path, **options: Any) -> Rejected:
    (row,) = read_trades(path, **options)
    assert isinstance(row, Rejected)
    assert row.code in REJECTIONS
    return row


def quotes(path: Path) -> list[OptionQuote]:
    rows = list(read_options(path))
    assert all(isinstance(row, OptionRow) for row in rows), rows
    return [row.quote for row in rows if isinstance(row, OptionRow)]


# --- the normalised layout ---------------------------------------------------------------------


@packed
def test_entasis_with_ids(write: Write, pack: Callable[[bytes], bytes]) -> None:
    # The name says nothing about the packing: the content does.
    path = write(
        pack((ENTASIS + "x,BTC_P,1723161257679000999,7,849714402,61804.80,4.0\n").encode())
    )
    reader = read_trades(path)
    assert reader.layout == "entasis"
    assert reader.source == "trades.csv"
    assert list(reader) == [
        TradeRow(
            2,
            Trade(
                "BTC_P",
                "x",
                datetime(2024, 8, 8, 23, 54, 17, 679000, tzinfo=UTC),
                849714402,
                Decimal("61804.80"),
                Decimal("4.0"),
            ),
            "trade",
        )
    ]
    assert reader.id_spaces == {("x", "BTC_P"): "trade"}
    assert reader.lines_read == 2
    assert reader.truncated_nanoseconds == 1
    assert reader.bytes_read == reader.total_bytes == path.stat().st_size


def test_entasis_without_ids(write: Write) -> None:
    path = write(
        ENTASIS
        + "x,A,1000,0,,1,1\nx,A,1999,1,,1,1\nx,B,1000,2,,1,1\nx,A,2000,3,,1,1\nx,B,1000,4,,1,1\n"
    )
    reader = read_trades(path)
    rows = list(reader)
    assert [(row.trade.symbol, row.trade.id) for row in rows if isinstance(row, TradeRow)] == [
        ("A", 0),
        ("A", 1),
        ("B", 0),
        ("A", 0),
        ("B", 1),
    ]
    assert set(reader.id_spaces.values()) == {"ordinal"}
    assert list(reader) == rows, "a file can be read again"
    assert reader.truncated_nanoseconds == 1, "and is counted once"


@pytest.mark.parametrize("standard_input", [False, True], ids=["file", "pipe"])
def test_ordinals_over_the_whole_file_when_time_goes_back(
    write: Write, monkeypatch: pytest.MonkeyPatch, standard_input: bool
) -> None:
    lines = ["x,A,1000", "x,A,1000", "x,A,bad", "x,A,2000", "x,A,1000", "x,A,2000", "x,A,1000"]
    content = ENTASIS + "".join(f"{line},{n},,1,1\n" for n, line in enumerate(lines))
    path: Path | str = write(content)
    if standard_input:
        feed_standard_input(monkeypatch, content.encode())
        path = "-"
    reader = read_trades(path)
    rows = list(reader)
    assert [row.line for row in rows] == [2, 3, 4, 5, 6, 7, 8]
    assert [row.trade.id if isinstance(row, TradeRow) else row.code for row in rows] == [
        0,
        1,
        "timestamp",
        0,
        2,
        1,
        3,
    ]
    assert reader.lines_read == 8


def test_time_that_goes_back_in_a_later_block(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK", 64)
    stamps = [*range(1000, 90000, 1000), 5000, 5000, 90000, 5000]
    path = write(ENTASIS + "".join(f"x,A,{stamp},{n},,1,1\n" for n, stamp in enumerate(stamps)))
    reader = read_trades(path)
    positions = []
    rows = []
    for row in reader:
        rows.append(row)
        positions.append((reader.bytes_read, reader.lines_read))
    assert [row.line for row in rows] == list(range(2, 2 + len(stamps)))
    assert [row.trade.id for row in rows if isinstance(row, TradeRow)] == [0] * 89 + [1, 2, 0, 3]
    assert positions == sorted(positions), "progress never goes back"


def test_ordinals_forget_what_a_sorted_file_no_longer_needs() -> None:
    ordinals = Ordinals(any_order=False)
    assert [ordinals.next("A", stamp) for stamp in (1, 1, 2)] == [0, 1, 0]
    with pytest.raises(OrderError):
        ordinals.next("A", 1)


def test_a_rejected_trade_keeps_its_ordinal(write: Write) -> None:
    # Else correcting the file would renumber the trades after it, and loading it would double them.
    rows = list(read_trades(write(ENTASIS + "x,A,1,0,,1,1\nx,A,1,1,,oops,1\nx,A,1,2,,1,1\n")))
    assert isinstance(rows[1], Rejected)
    assert isinstance(rows[2], TradeRow)
    assert rows[2].trade.id == 2


def test_sequence_must_increase_where_ordinals_rest_on_it(write: Write) -> None:
    path = write(
        ENTASIS
        + "x,A,1,5,,1,1\nx,A,1,5,,1,1\nx,A,1,4,,1,1\nx,B,1,4,,1,1\n"
        + "x,A,1,z,,1,1\nx,A,1,6,,1,1\nx,A,1,,,1,1\n"
    )
    found = [row.trade.id if isinstance(row, TradeRow) else row.code for row in read_trades(path)]
    assert found == [0, "sequence", "sequence", 0, "sequence", 1, 2]


def test_sequence_does_not_matter_where_trades_have_ids(write: Write) -> None:
    assert len(trades(write(ENTASIS + "x,A,1,5,1,1,1\nx,A,1,4,2,1,1\nx,A,1,,3,1,1\n"))) == 3


def test_the_first_trade_of_a_market_decides_its_id_space(write: Write) -> None:
    path = write(
        ENTASIS + "x,A,1,0,7,1,1\nx,A,1,1,,1,1\nx,B,1,2,,1,1\nx,B,1,3,9,1,1\nx,A,1,4,8,1,1\n"
    )
    reader = read_trades(path)
    found = [row.id_space if isinstance(row, TradeRow) else row.code for row in reader]
    assert found == ["trade", "id", "ordinal", "id", "trade"]
    assert reader.id_spaces == {("x", "A"): "trade", ("x", "B"): "ordinal"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("x,A,1,0,1,1", "fields"),
        ("x,A,1,0,1,1,1,1", "fields"),
        ('x,A,1,0,1,"1,1', "fields"),
        ('x,A,1,0,1,"1"1,1', "fields"),
        ("x,A,now,0,1,1,1", "timestamp"),
        ("x,A,1.5,0,1,1,1", "timestamp"),
        ("x,A,,0,1,1,1", "timestamp"),
        (f"x,A,{10**24},0,1,1,1", "timestamp"),
        (f"x,A,-{10**20},0,1,1,1", "timestamp"),
        (f"x,A,{'1' * 5000},0,1,1,1", "timestamp"),
        ("x,A,1,0,a1,1,1", "id"),
        ("x,A,1,0,1.0,1,1", "id"),
        (f"x,A,1,0,{1 << 63},1,1", "id"),
        (f"x,A,1,0,{-(1 << 63) - 1},1,1", "id"),
        ("x,A,1,0,1,,1", "number"),
        ("x,A,1,0,1,1,1.2.3", "number"),
        ("x,A,1,0,1,sNaN,1", "number"),
        ("x,A,1,0,1,1_0,1", "number"),
        ("x,A,1,0,1_0,1,1", "number"),
        ("x,A,1,0,1,１,1", "number"),
        ("x,A\0,1,0,1,1,1", "encoding"),
    ],
)
def test_a_line_that_cannot_be_read_is_rejected(
    write: Write, monkeypatch: pytest.MonkeyPatch, line: str, code: str
) -> None:
    # A block for each line: the header, which is odd itself, does not make the line odd too.
    monkeypatch.setattr(files, "CHUNK", 1)
    rejected = only_rejected(write(ENTASIS + line + "\n"))
    assert (rejected.line, rejected.code) == (2, code)
    assert rejected.payload == line.replace("\0", "\\x00")
    assert rejected.reason


def test_a_line_that_is_not_utf8_is_rejected_and_kept(write: Write) -> None:
    path = write(ENTASIS.encode() + b"x,\xe9\xff,1,0,1,1,1\nx,\xc3\xa9,1,0,1,1,1\nx,A,1,0,1,1,1\n")
    bad, accented, good = read_trades(path)
    assert bad == Rejected(2, "encoding", "the line is not text in UTF-8", "x,\\xe9\\xff,1,0,1,1,1")
    assert isinstance(accented, TradeRow)
    assert accented.trade.symbol == "é"
    assert isinstance(good, TradeRow)


@pytest.mark.parametrize(
    "number",
    ["NaN", "-NaN", "Infinity", "-Infinity", "0", "-1", "1E-400000", "1." + "3" * 60, "9" * 60],
)
def test_what_is_inadmissible_is_still_read(write: Write, number: str) -> None:
    (trade,) = trades(write(ENTASIS + f"{'e' * 40},{'s' * 30},1,0,1,{number},{number}\n"))
    assert str(trade.price) == str(trade.volume) == number
    assert len(trade.symbol) == 30
    assert len(trade.exchange) == 40


def test_the_far_future_and_the_bounds_of_an_id_are_read(write: Write) -> None:
    top, bottom = (1 << 63) - 1, -(1 << 63)
    far = trades(write(ENTASIS + f"x,A,{top},0,{top},1,1\nx,A,-1,0,{bottom},1,1\n"))
    assert far[0].timestamp == datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC)
    assert far[0].id == top
    assert far[1].timestamp == EPOCH - timedelta(microseconds=1), "floor, not towards 1970"
    assert far[1].id == bottom


@pytest.mark.parametrize("chunk", [1, files.CHUNK])
def test_what_is_tolerated(write: Write, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(files, "CHUNK", chunk)
    content = (
        "\ufeff# made by hand\r\n\r\n" + ENTASIS.replace("\n", "\r\n") + "x,A,1,0,1,1,1\r\n"
        '\r\n   \r\n# x,A,1,0,2,1,1\r\n#\r\n"x","B ""b"", c",1,0,3,"1","1"\r\nx,A,1,0,4,1,1\r'
    )
    reader = read_trades(write(content))
    all_rows = list(reader)
    rows = [row for row in all_rows if isinstance(row, TradeRow)]
    assert len(rows) == len(all_rows)
    assert [(row.line, row.trade.symbol, row.trade.id) for row in rows] == [
        (4, "A", 1),
        (9, 'B "b", c', 3),
        (10, "A", 4),
    ]
    assert {str(row.trade.volume) for row in rows} == {"1"}
    assert reader.lines_read == 10


def test_a_comment_and_a_carriage_return_among_plain_lines(write: Write) -> None:
    name = "BTCUSDT-trades-2024-08-08.csv"
    line = f"5,1,1,1,{MS},true"
    assert len(trades(write(f"{line}\n#{line}\n{line}\n", name), exchange="x")) == 2
    assert len(trades(write(f"{line}\r", name), exchange="x")) == 1


def test_a_header_alone_is_no_fault(write: Write) -> None:
    assert trades(write(ENTASIS)) == []
    assert trades(write(ENTASIS.rstrip())) == []
    assert quotes(write(DERIBIT)) == []


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_blocks_do_not_show(write: Write, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    content = ENTASIS + "".join(f"x,É,{n}000,0,{n},1,1\r\n" for n in range(30)) + "x,É,1,0,30,1,1"
    expected = list(read_trades(write(content)))
    monkeypatch.setattr(files, "CHUNK", chunk)
    for pack in PACKINGS:
        assert list(read_trades(write(pack(content.encode())))) == expected


def test_a_reader_that_is_left_early_closes_its_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK", 64)  # so that much of the file is left
    for pack in PACKINGS:
        path = write(pack((ENTASIS + "x,A,1,0,1,1,1\n" * 100).encode()))
        next(iter(read_trades(path)))  # a ResourceWarning would be an error


# --- Binance's archives and streams ------------------------------------------------------------

AT_MS = datetime(2024, 8, 8, 23, 54, 17, 679000, tzinfo=UTC)
AT_US = datetime(2025, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "content", "layout", "id_space"),
    [
        (
            "BTCUSDT-trades-2024-08-08.csv",
            f"5,61804.80,0.1,6180.48,{MS},True,True\n6,61804.80,0.1,6180.48,{US},False,True\n",
            "binance-trades",
            "trade",
        ),
        (
            "BTCUSDT-trades-2024-08.zip",
            "id,price,qty,quote_qty,time,is_buyer_maker\n"
            f"5,61804.80,0.1,6180.48,{MS},true\n6,61804.80,0.1,6180.48,{US},true\n",
            "binance-trades",
            "trade",
        ),
        (
            "BTCUSDT-trades-2024-08",
            f"5,61804.80,0.1,6180.48,{MS},true\n6,61804.80,0.1,6180.48,{US},true\n",
            "binance-trades",
            "trade",
        ),
        (
            "BTCUSDT-aggTrades-2024-08-08.csv.gz",
            f"5,61804.80,0.1,100,102,{MS},True,True\n6,61804.80,0.1,103,103,{US},True,True\n",
            "binance-aggtrades",
            "aggtrade",
        ),
        (
            "BTCUSDT-aggTrades-2024-08.zip",
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
            f"is_buyer_maker\n5,61804.80,0.1,100,102,{MS},true\n6,61804.80,0.1,103,103,{US},true\n",
            "binance-aggtrades",
            "aggtrade",
        ),
        (
            "BTCUSDT-aggTrades-2024-08-08.zip",  # seven fields, as spot trades have
            f"5,61804.80,0.1,100,102,{MS},true\n6,61804.80,0.1,103,103,{US},true\n",
            "binance-aggtrades",
            "aggtrade",
        ),
    ],
)
def test_binance_archives(
    write: Write, name: str, content: str, layout: str, id_space: str
) -> None:
    path = write(content, name)
    for forced in (None, layout):
        reader = read_trades(path, exchange="binance-spot", layout=forced)
        first, second = reader
        assert isinstance(first, TradeRow)
        assert isinstance(second, TradeRow)
        price, volume = Decimal("61804.80"), Decimal("0.1")
        assert first.trade == Trade("BTCUSDT", "binance-spot", AT_MS, 5, price, volume)
        assert second.trade == Trade("BTCUSDT", "binance-spot", AT_US, 6, price, volume)
        assert first.line == (2 if "price" in content else 1)
        assert first.id_space == id_space
        assert reader.layout == layout
        assert reader.id_spaces == {("binance-spot", "BTCUSDT"): id_space}


def test_the_symbol_given_overrules_the_file_name(write: Write) -> None:
    path = write(f"5,1,1,1,{MS},True,True\n", "ETHUSDT-trades-2024-08-08.csv")
    (trade,) = trades(path, exchange="binance-spot", symbol="ETH_X")
    assert trade.symbol == "ETH_X"


@pytest.mark.parametrize("time", ["172316125767", "+172316125767", "1723161257.67", "", "True"])
def test_binance_times_are_milliseconds_or_microseconds(write: Write, time: str) -> None:
    path = write(f"5,1,1,1,{time},True,True\n", "ETHUSDT-trades-2024-08-08.csv")
    assert only_rejected(path, exchange="binance-spot").code == "timestamp"


def test_a_market_that_the_archive_does_not_name(write: Write) -> None:
    line = f"5,1,1,1,{MS},True,True\n"
    with pytest.raises(LoadError, match="pass --exchange binance-spot, binance-usdm or binance-cm"):
        read_trades(write(line, "ETHUSDT-trades-2024-08-08.csv"))
    with pytest.raises(LoadError, match="pass --symbol"):
        read_trades(write(line, "download.csv"), exchange="binance-spot")


def test_a_market_that_is_named_twice(write: Write) -> None:
    path = write(ENTASIS)
    with pytest.raises(LoadError, match="leave out --exchange"):
        read_trades(path, exchange="x")
    with pytest.raises(LoadError, match="leave out --symbol"):
        read_trades(path, symbol="x")
    with pytest.raises(LoadError, match="leave out --symbol"):
        read_trades(write(STREAM), symbol="x")


def stream(symbol: str, event: str = "trade") -> str:
    return f"1741046404352,s@trade,{event},1,{MS},{symbol},548321769,0.0,243.0,0,\n"


def test_binance_stream(write: Write) -> None:
    path = write(
        "# captured\n" + STREAM + stream("TRXUSDT") + stream("BTCUSD_PERP") + stream("A", "depth")
    )
    reader = read_trades(path)
    assert reader.layout == "binance-stream"
    first, second, third = reader
    assert isinstance(first, TradeRow)
    assert first.trade == Trade(
        "TRXUSDT", "binance-usdm", AT_MS, 548321769, Decimal("0.0"), Decimal("243.0")
    )
    assert (first.line, first.id_space) == (3, "trade")
    assert isinstance(second, TradeRow)
    assert second.trade.exchange == "binance-cm"
    assert isinstance(third, Rejected)
    assert third.code == "event"
    assert reader.id_spaces == {
        ("binance-usdm", "TRXUSDT"): "trade",
        ("binance-cm", "BTCUSD_PERP"): "trade",
    }


def test_binance_stream_of_another_exchange(write: Write) -> None:
    content = STREAM + stream("TRXUSDT")
    assert [trade.exchange for trade in trades(write(content), exchange="mine")] == ["mine"]
    spot = content.replace("XUnknown", "MUnknown")
    assert [trade.exchange for trade in trades(write(spot))] == ["binance-spot"]


# --- options -----------------------------------------------------------------------------------


def deribit(name: str, iv: str = "120.74", stamp: int | str = MS) -> str:
    return f"1.5,{name},{stamp},{iv},1,2,3,4,5,0.20072,-1.64029,0.01188,2e-05,9e-05\n"


def test_deribit(write: Write) -> None:
    (quote,) = quotes(write(DERIBIT + deribit("ETH-30JUL21-2800-C")))
    assert quote == OptionQuote(
        "ETH",
        Decimal(2800),
        datetime(2021, 7, 30, 8, tzinfo=UTC),
        "call",
        AT_MS,
        0,
        Decimal("1.2074"),
        Decimal("9E-5"),
        Decimal("2E-5"),
        Decimal("-1.64029"),
        Decimal("0.20072"),
    )


def test_deribit_decimal_strikes_and_one_digit_days(write: Write) -> None:
    (quote,) = quotes(write(DERIBIT + deribit("XRP_USDC-6AUG23-0d625-P")))
    assert quote[:4] == (
        "XRP_USDC",
        Decimal("0.625"),
        datetime(2023, 8, 6, 8, tzinfo=UTC),
        "put",
    )


@pytest.mark.parametrize(
    ("iv", "expected"),
    [("", "None"), ("NaN", "NaN"), ("1." + "3" * 60, "0.01" + "3" * 60), ("80.00", "0.8000")],
)
def test_deribit_percent_is_shifted_exactly(write: Write, iv: str, expected: str) -> None:
    with localcontext() as context:
        context.prec = 3
        (quote,) = quotes(write(DERIBIT + deribit("ETH-30JUL21-2800-C", iv)))
    assert str(quote.iv) == expected


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (deribit("BTC-PERPETUAL"), "instrument"),
        (deribit("ETH-30JUL21"), "instrument"),
        (deribit("ETH-31FEB21-2800-C"), "instrument"),
        (deribit("ETH-30XXX21-2800-C"), "instrument"),
        (deribit("ETH-30JUL21-2800-X"), "instrument"),
        (deribit("ETH-30JUL21-2800-C", stamp="x"), "timestamp"),
        (deribit("ETH-30JUL21-2800-C", stamp=10**18), "timestamp"),
        (deribit("ETH-30JUL21-2800-C", "high"), "number"),
    ],
)
def test_deribit_rejections(write: Write, line: str, code: str) -> None:
    (row,) = read_options(write(DERIBIT + line))
    assert isinstance(row, Rejected)
    assert row.code == code
    assert row.code in REJECTIONS


def spy(
    kind: str = "put", expiry: str = "2021-01-29", day: str = "2021-01-04", strike: str = "345.0"
) -> str:
    greeks = "0.28804,-0.17798,0.00937,-0.1447,"
    return f"SPY,368.79,SPY,{kind},{expiry},{day},{strike},1,2,3,4,5,{greeks},alias\n"


def test_spy_states_days_and_no_hour_is_invented(write: Write) -> None:
    assert quotes(write(SPY + spy())) == [
        OptionQuote(
            "SPY",
            Decimal("345.0"),
            datetime(2021, 1, 29, tzinfo=UTC),
            "put",
            datetime(2021, 1, 4, tzinfo=UTC),
            0,
            Decimal("0.28804"),
            Decimal("-0.17798"),
            Decimal("0.00937"),
            Decimal("-0.1447"),
            None,
        )
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (spy(kind="forward"), "instrument"),
        (spy(expiry="2021-02-30"), "timestamp"),
        (spy(day=""), "timestamp"),
        (spy(day="0000-01-01"), "timestamp"),
        (spy(strike="x"), "number"),
    ],
)
def test_spy_rejections(write: Write, line: str, code: str) -> None:
    (row,) = read_options(write(SPY + line))
    assert isinstance(row, Rejected)
    assert row.code == code


def test_option_ordinals_count_within_a_contract_and_a_timestamp(write: Write) -> None:
    rows = [
        spy(),
        spy(kind="call"),
        spy(strike="345"),
        spy(day="2021-01-05"),
        spy(day="2021-01-04"),
        spy(expiry="2021-01-30"),
    ]
    assert [quote.id for quote in quotes(write(SPY + "".join(rows)))] == [0, 0, 1, 0, 2, 0]
    ticks = [deribit("ETH-30JUL21-2800-C"), deribit("ETH-30JUL21-2800-P")] * 2
    assert [quote.id for quote in quotes(write(DERIBIT + "".join(ticks)))] == [0, 0, 1, 1]


# --- files that are not what they should be ----------------------------------------------------


@packed
@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n"])
def test_an_empty_file(write: Write, pack: Callable[[bytes], bytes], content: str) -> None:
    path = write(pack(content.encode()))
    with pytest.raises(LoadError, match=r"^trades.csv, line 1: the file is empty; expected .*"):
        read_trades(path)
    with pytest.raises(LoadError, match=r"deribit-tickers \(recv,"):
        read_options(path)


def test_a_layout_that_is_not_known(write: Write) -> None:
    path = write("\n# hello\ntime,open,high\n1,2,3\n")
    with pytest.raises(LoadError) as error:
        read_trades(path)
    message = str(error.value)
    assert message.startswith("trades.csv, line 3: the layout is not recognised")
    assert "'time,open,high'" in message
    for layout in ("entasis", "binance-trades", "binance-aggtrades", "binance-stream"):
        assert layout in message
    with pytest.raises(LoadError, match="line 1: the layout is not recognised"):
        read_options(write(ENTASIS))
    with pytest.raises(LoadError, match=r"expected one of these layouts: binance-stream \("):
        read_trades(write(ENTASIS), layout="binance-stream")
    with pytest.raises(LoadError, match="no layout 'csv'; known are entasis, binance-trades"):
        read_trades(path, layout="csv")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"absent.csv: cannot be opened: No such file"):
        read_trades(tmp_path / "absent.csv")
    with pytest.raises(LoadError, match="cannot be opened: Is a directory"):
        read_trades(tmp_path)


def test_a_file_without_line_ends(write: Write) -> None:
    path = write(ENTASIS + "x" * 3 * files.LONGEST_LINE)
    with pytest.raises(LoadError, match="line 2: longer than 1048576 bytes"):
        list(read_trades(path))


LONG = "".join(
    f"x,A,{n * 7919 % 99991},0,{n},{n * 31}.{n % 97},{n * 7 % 1009}\n" for n in range(9000)
)


def read_until_fault(path: Path) -> tuple[list[int], str]:
    rows: list[TradeRow | Rejected] = []
    with pytest.raises(LoadError) as error:
        rows.extend(read_trades(path))
    ids = [row.trade.id for row in rows if isinstance(row, TradeRow)]
    assert len(ids) == len(rows), "no part of a line may be read"
    return ids, str(error.value)


@pytest.mark.parametrize("pack", [gzip.compress, zipped], ids=["gzip", "zip"])
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.7, 0.999, -9, -1])
def test_compressed_data_that_was_cut(
    write: Write, pack: Callable[[bytes], bytes], kept: float
) -> None:
    whole = pack((ENTASIS + LONG).encode())
    cut = whole[: int(kept) if kept < 0 else int(len(whole) * kept)]
    ids, message = read_until_fault(write(cut))
    assert ids == list(range(len(ids)))
    # All that can be decompressed is read: about as much of the rows as was kept of the file.
    assert len(ids) >= (9000 if kept < 0 else 9000 * kept * 0.8 - 400)
    assert message == (
        f"trades.csv: compressed data ends too early after line {len(ids) + 1}; rows up to there "
        "were read; fetch the file again and load it again: nothing is loaded twice"
    )


def test_every_whole_line_before_the_cut_is_read(write: Write) -> None:
    # Stored, not deflated, so that it is known what the cut leaves.
    text = (ENTASIS + LONG).encode()
    cut = gzip.compress(text, compresslevel=0)[:100_000]
    ids, _ = read_until_fault(write(cut))
    assert len(ids) + 1 == text[: 100_000 - 10 - 5 * 2].count(b"\n")


@pytest.mark.parametrize("kept", [4, 20, 31, 60])
def test_zip_archives_cut_within_the_first_line(write: Write, kept: int) -> None:
    with pytest.raises(LoadError, match="ends too early after line 0"):
        read_trades(write(zipped(ENTASIS.encode())[:kept]))


@pytest.mark.parametrize("pack", [gzip.compress, zipped], ids=["gzip", "zip"])
def test_compressed_data_that_is_damaged(write: Write, pack: Callable[[bytes], bytes]) -> None:
    whole = bytearray(pack((ENTASIS + LONG).encode()))
    # A block type that does not exist, at the very beginning of the deflated data.
    start = 10 if pack is gzip.compress else whole.index(b"member0.csv") + len("member0.csv")
    broken = bytes(whole[:start]) + b"\xff" * 8 + bytes(whole[start + 8 :])
    with pytest.raises(LoadError, match=r"trades.csv: compressed data is damaged after line 0 \("):
        read_trades(write(broken))


def test_a_checksum_that_does_not_match(write: Write) -> None:
    whole = bytearray(gzip.compress((ENTASIS + LONG).encode()))
    whole[-8] ^= 1
    ids, message = read_until_fault(write(bytes(whole)))
    assert len(ids) == 9000
    assert "damaged after line 9001" in message
    assert "some may be wrong" in message


def test_a_zip_archive_of_several_files(write: Write) -> None:
    with pytest.raises(LoadError, match=r"holds 2 files \(member0.csv, member1.csv\)"):
        read_trades(write(zipped(ENTASIS.encode(), ENTASIS.encode())))
    with pytest.raises(LoadError, match="holds 0 files"):
        read_trades(write(b"PK\3\4" + zipped()))


def test_a_zip_archive_with_a_password(write: Write) -> None:
    whole = bytearray(zipped(ENTASIS.encode()))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        whole[whole.index(signature) + offset] |= 1
    with pytest.raises(LoadError, match=r"cannot be unpacked: .*encrypted"):
        read_trades(write(bytes(whole)))


def test_a_file_that_cannot_be_read_to_its_end(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        yield ENTASIS.encode() + b"x,A,1,0,1,1,1\nx,A,1"
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "_chunks", fail)
    ids, message = read_until_fault(write(ENTASIS))
    assert ids == [1]
    assert message == "trades.csv: cannot be read after line 2: Input/output error"


# --- pipes -------------------------------------------------------------------------------------


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def feed_standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    buffer = io.BufferedReader(Pipe(data))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK", 64)
    text = (ENTASIS + LONG).encode()
    for data in (text, gzip.compress(text)):
        feed_standard_input(monkeypatch, data)
        reader = read_trades("-")
        assert len(list(reader)) == 9000
        assert reader.source == "standard input"
        assert reader.total_bytes is None
        assert reader.bytes_read == len(text)
        with pytest.raises(LoadError, match="standard input: a pipe can be read only once"):
            list(reader)


def test_a_zip_archive_needs_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    feed_standard_input(monkeypatch, zipped(ENTASIS.encode()))
    with pytest.raises(LoadError, match="a zip archive cannot be read from a pipe"):
        read_trades("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no named pipes")
def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text(ENTASIS + LONG))
    writer.start()
    reader = read_trades(path)
    assert reader.total_bytes is None
    assert len(list(reader)) == 9000
    writer.join()


# --- properties --------------------------------------------------------------------------------

decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(-(10**25), 10**25),
    st.integers(0, 20),
)


@given(
    rows=st.lists(
        st.tuples(st.integers(-62135596800 * 10**9, 253402300799 * 10**9), decimals, decimals),
        max_size=8,
    )
)
def test_numbers_and_times_are_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, Decimal, Decimal]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "exact.csv"
    path.write_text(
        ENTASIS + "".join(f"x,A,{ns},0,{n},{p},{v}\n" for n, (ns, p, v) in enumerate(rows))
    )
    reader = read_trades(path)
    read = [row.trade for row in reader if isinstance(row, TradeRow)]
    assert len(read) == len(rows)
    for trade, (ns, price, volume) in zip(read, rows, strict=True):
        assert trade.price.as_tuple() == price.as_tuple()
        assert trade.volume.as_tuple() == volume.as_tuple()
        since = trade.timestamp - EPOCH
        microseconds = (since.days * 86400 + since.seconds) * 10**6 + since.microseconds
        assert 0 <= ns - microseconds * 1000 < 1000, "floor, never up"
    assert reader.truncated_nanoseconds == sum(ns % 1000 != 0 for ns, _, _ in rows)


@given(
    groups=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 4)), max_size=40),
    in_order=st.booleans(),
    chunk=st.integers(1, 300),
)
def test_ordinals_count_each_group_from_0_however_the_file_comes(
    tmp_path_factory: pytest.TempPathFactory,
    groups: list[tuple[str, int]],
    in_order: bool,
    chunk: int,
) -> None:
    if in_order:
        groups.sort(key=lambda group: group[1])
    seen: Counter[tuple[str, int]] = Counter()
    expected = []
    for group in groups:
        expected.append((*group, seen[group]))
        seen[group] += 1
    assert len(set(expected)) == len(expected), "a key is unique"
    text = ENTASIS + "".join(f"x,{s},{t}500,{n},,1,1\n" for n, (s, t) in enumerate(groups))
    path = tmp_path_factory.getbasetemp() / "ordinals.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "CHUNK", chunk)
        for pack in PACKINGS:
            path.write_bytes(pack(text.encode()))
            found = [
                (trade.symbol, (trade.timestamp - EPOCH).microseconds, trade.id)
                for trade in trades(path)
            ]
            assert found == expected
        feed_standard_input(patch, text.encode())
        assert [trade.id for trade in trades("-")] == [ordinal for _, _, ordinal in expected]


# --- real data ---------------------------------------------------------------------------------

samples = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real samples at {DATA}")


@samples
@pytest.mark.parametrize(
    ("name", "layout", "count", "markets", "id_space", "truncated"),
    [
        ("trades_binance_2024-08-08.csv.gz", "entasis", 78_638, 6, "trade", 0),
        ("trades_phemex_2021-07-03.csv.gz", "entasis", 10_025, 10, "ordinal", 10_011),
        ("stream_binance_trxusdt_2025-03-04.csv.gz", "binance-stream", 10_000, 1, "trade", 0),
    ],
)
def test_real_trades(
    name: str, layout: str, count: int, markets: int, id_space: str, truncated: int
) -> None:
    reader = read_trades(DATA / name)
    read = [row.trade for row in reader if isinstance(row, TradeRow)]
    assert reader.layout == layout
    assert len(read) == count
    assert reader.lines_read == count + 1, "nothing was rejected"
    assert len({trade[:4] for trade in read}) == count, "the key is unique"
    assert len(reader.id_spaces) == markets
    assert set(reader.id_spaces.values()) == {id_space}
    assert reader.truncated_nanoseconds == truncated
    assert reader.bytes_read == reader.total_bytes


@samples
def test_the_real_trade_without_a_price_is_left_to_the_rules() -> None:
    read = trades(DATA / "stream_binance_trxusdt_2025-03-04.csv.gz")
    assert [trade.id for trade in read if not trade.price] == [548331095]


@samples
@pytest.mark.parametrize(
    ("name", "layout", "count", "smallest_gamma"),
    [
        ("options_deribit_eth_2021-07-22.csv", "deribit-tickers", 89, "0.00001"),
        ("options_spy_2021.csv.gz", "options-backtester", 5_040, "0.00182"),
    ],
)
def test_real_options(name: str, layout: str, count: int, smallest_gamma: str) -> None:
    reader = read_options(DATA / name)
    read = [row.quote for row in reader if isinstance(row, OptionRow)]
    assert reader.layout == layout
    assert len(read) == count
    assert {quote.id for quote in read} == {0}, "no contract is quoted twice at one timestamp"
    assert all(quote.iv is not None and 0 < quote.iv < 10 for quote in read), "a fraction"
    assert min(quote.gamma for quote in read if quote.gamma) == Decimal(smallest_gamma)
