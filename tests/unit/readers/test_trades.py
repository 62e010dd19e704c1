"""Readers of trades: the normalised layout and its faults, Binance's archives and streams."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from entasis_db.errors import LoadError
from entasis_db.model import Trade
from entasis_db.readers import (
    REJECTIONS,
    Rejected,
    TradeRow,
    containers,
    read_trades,
)
from entasis_db.readers.rows import OrderError, Ordinals
from tests.unit.readers.support import (
    AT_MS,
    DERIBIT,
    ENTASIS,
    EPOCH,
    MS,
    PACKINGS,
    US,
    Write,
    feed_standard_input,
    packed,
    quotes,
    trades,
)

STREAM = (
    "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,Quantity,"
    "IsBuyerMarketMaker,XUnknownParameter\n"
)


def only_rejected(path: Path, **options: Any) -> Rejected:
    (row,) = read_trades(path, **options)
    assert isinstance(row, Rejected)
    assert row.code in REJECTIONS
    return row


# --- the normalised layout -----------------------------------------------------------------------


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
                symbol="BTC_P",
                exchange="x",
                timestamp=datetime(2024, 8, 8, 23, 54, 17, 679000, tzinfo=UTC),
                id=849714402,
                price=Decimal("61804.80"),
                volume=Decimal("4.0"),
            ),
            "trade",
        )
    ]
    assert reader.id_spaces == {("x", "BTC_P"): "trade"}
    assert reader.lines_read == 2
    assert reader.truncated_nanoseconds == 1
    assert reader.bytes_read == reader.total_bytes == path.stat().st_size


@pytest.mark.parametrize("sequence", ["position", "none"])
def test_entasis_without_ids(write: Write, sequence: str) -> None:
    rows = [("A", 1000), ("A", 1999), ("B", 1000), ("A", 2000), ("B", 1000)]
    counts = dict.fromkeys("AB", 0)
    text = ENTASIS
    for symbol, stamp in rows:
        number = str(counts[symbol]) if sequence == "position" else ""
        text += f"x,{symbol},{stamp},{number},,1,1\n"
        counts[symbol] += 1
    path = write(text)
    reader = read_trades(path)
    found = list(reader)
    assert [(row.trade.symbol, row.trade.id) for row in found if isinstance(row, TradeRow)] == [
        ("A", 0),
        ("A", 1),
        ("B", 0),
        ("A", 0),
        ("B", 1),
    ]
    assert set(reader.id_spaces.values()) == {"ordinal"}
    assert list(reader) == found, "a file can be read again"
    assert reader.truncated_nanoseconds == 1, "and is counted once"


@pytest.mark.parametrize(
    ("numbers", "spaces"),
    [
        ("101", {"sequence"}),
        ("0 1 2", {"ordinal"}),
        ("0", {"ordinal"}),
        ("0 1 3", {"sequence"}),
        ("0 0", {"sequence"}),
        ("1 2 3", {"sequence"}),
        ("0 1 z 3", {"ordinal"}),  # the line that cannot be read was one of them
        ("0 1 z 4", {"sequence"}),
    ],
)
def test_a_sequence_that_counts_the_rows_is_a_position(
    write: Write, numbers: str, spaces: set[str]
) -> None:
    lines = "".join(f"x,A,{n}000,{text},,1,1\n" for n, text in enumerate(numbers.split()))
    path = write(ENTASIS + lines)
    reader = read_trades(path)
    ids = [row.trade.id for row in reader if isinstance(row, TradeRow)]
    assert set(reader.id_spaces.values()) == spaces
    given = [int(text) for text in numbers.split() if text.isdecimal()]
    assert ids == (given if spaces == {"sequence"} else [0] * len(given))
    for kind, space in (("exchange", "sequence"), ("position", "ordinal")):
        reader = read_trades(path, sequence=kind)  # type: ignore[arg-type]
        assert list(reader)
        assert set(reader.id_spaces.values()) == {space}


def test_each_market_has_a_sequence_of_its_own(write: Write) -> None:
    path = write(ENTASIS + "x,A,1,0,,1,1\nx,B,1,7,,1,1\nx,A,1,1,,1,1\nx,C,1,0,5,1,1\n")
    reader = read_trades(path)
    assert [row.trade.id for row in reader if isinstance(row, TradeRow)] == [0, 7, 1, 5]
    assert list(reader.id_spaces.values()) == ["ordinal", "sequence", "trade"]


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
    monkeypatch.setattr(containers, "CHUNK", 64)
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
    reader = read_trades(path, sequence="position")
    found = [row.trade.id if isinstance(row, TradeRow) else row.code for row in reader]
    assert found == [0, "sequence", "sequence", 0, "sequence", 1, 2]


def test_sequence_does_not_matter_where_trades_have_ids(write: Write) -> None:
    assert len(trades(write(ENTASIS + "x,A,1,5,1,1,1\nx,A,1,4,2,1,1\nx,A,1,,3,1,1\n"))) == 3


def test_the_first_trade_of_a_market_decides_its_id_space(write: Write) -> None:
    path = write(
        ENTASIS + "x,A,1,0,7,1,1\nx,A,1,1,,1,1\nx,B,1,0,,1,1\nx,B,1,1,9,1,1\nx,A,1,4,8,1,1\n"
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
        ("x,A,1,0,nan,1,1", "id"),
        ("x,A,1,0,1.0,1,1", "id"),
        (f"x,A,1,0,{-(1 << 63) - 1},1,1", "id"),
        ("x,A,1,0,1,,1", "number"),
        ("x,A,1,0,1,1,1.2.3", "number"),
        ("x,A,1,0,1,sNaN,1", "number"),
        ("x,A,1,0,1,1_0,1", "number"),
        ("x,A,1,0,1_0,1,1", "id"),
        ("x,A,1,0,1,１,1", "number"),
        ("x,A\0,1,0,1,1,1", "encoding"),
    ],
)
def test_a_line_that_cannot_be_read_is_rejected(
    write: Write, monkeypatch: pytest.MonkeyPatch, line: str, code: str
) -> None:
    # A block for each line: the header, which is odd itself, does not make the line odd too.
    monkeypatch.setattr(containers, "CHUNK", 1)
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
    ["NaN", "-NaN", "Infinity", "-Infinity", "0", "-0", "1E-400000", "1." + "3" * 60, "9" * 60],
)
def test_what_is_inadmissible_is_still_read(write: Write, number: str) -> None:
    (trade,) = trades(write(ENTASIS + f"{'e' * 40},{'s' * 30},1,0,1,{number},{number}\n"))
    assert str(trade.price) == str(trade.volume) == number
    assert len(trade.symbol) == 30
    assert len(trade.exchange) == 40
    (trade,) = trades(write(ENTASIS + "x,A,1,0,1,-1,1\n"))
    assert str(trade.price) == "-1"


def test_the_far_future_and_the_bounds_of_an_id_are_read(write: Write) -> None:
    top, bottom = (1 << 63) - 1, -(1 << 63)
    far = trades(write(ENTASIS + f"x,A,{top},0,{top},1,1\nx,A,-1,0,{bottom},1,1\n"))
    assert far[0].timestamp == datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC)
    assert far[0].id == top
    assert far[1].timestamp == EPOCH - timedelta(microseconds=1), "floor, not towards 1970"
    assert far[1].id == bottom


@pytest.mark.parametrize("chunk", [1, containers.CHUNK])
def test_what_is_tolerated(write: Write, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(containers, "CHUNK", chunk)
    content = (
        "\ufeff# made by hand\r\n\r\n" + ENTASIS.replace("\n", "\r\n") + "x,A,1,0,1,1,1\r\n"
        '\r\n   \r\n# x,A,1,0,2,1,1\r\n#\r\n"x","B ""b"", c",1,0,3,"1","1"\r\nx,A,1,0,4,1,1\r\n'
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
    assert len(trades(write(gzip.compress(f"{line}\r".encode()), name), exchange="x")) == 1


def test_a_header_alone_is_no_fault(write: Write) -> None:
    assert trades(write(ENTASIS)) == []
    assert trades(write(ENTASIS.rstrip())) == []
    assert quotes(write(DERIBIT)) == []


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_blocks_do_not_show(write: Write, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    content = ENTASIS + "".join(f"x,É,{n}000,0,{n},1,1\r\n" for n in range(30)) + "x,É,1,0,30,1,1"
    expected = [list(read_trades(write(pack(content.encode())))) for pack in PACKINGS]
    assert expected[1] == expected[2]
    assert expected[0][:-1] == expected[1][:-1], "but for the last line, which may be cut"
    monkeypatch.setattr(containers, "CHUNK", chunk)
    for pack, rows in zip(PACKINGS, expected, strict=True):
        assert list(read_trades(write(pack(content.encode())))) == rows


def test_a_reader_that_is_left_early_closes_its_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "CHUNK", 64)  # so that much of the file is left
    for pack in PACKINGS:
        path = write(pack((ENTASIS + "x,A,1,0,1,1,1\n" * 100).encode()))
        next(iter(read_trades(path)))  # a ResourceWarning would be an error


# --- Binance's archives and streams --------------------------------------------------------------

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
    # the columns of spot have one more
    venue = "binance-spot" if "True,True" in content else "binance-usdm"
    for forced in (None, layout):
        reader = read_trades(path, exchange=venue, layout=forced)
        first, second = reader
        assert isinstance(first, TradeRow)
        assert isinstance(second, TradeRow)
        price, volume = Decimal("61804.80"), Decimal("0.1")
        assert first.trade == Trade(
            symbol="BTCUSDT",
            exchange=venue,
            timestamp=AT_MS,
            id=5,
            price=price,
            volume=volume,
            side="sell",
        )
        assert second.trade == Trade(
            symbol="BTCUSDT",
            exchange=venue,
            timestamp=AT_US,
            id=6,
            price=price,
            volume=volume,
            side="buy" if ",False" in content else "sell",
        )
        assert first.line == (2 if "price" in content else 1)
        assert first.id_space == id_space
        assert reader.layout == layout
        assert reader.id_spaces == {(venue, "BTCUSDT"): id_space}


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
        symbol="TRXUSDT",
        exchange="binance-usdm",
        timestamp=AT_MS,
        id=548321769,
        price=Decimal("0.0"),
        volume=Decimal("243.0"),
        side="buy",
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
