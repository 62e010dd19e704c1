"""Readers of what exchanges and vendors publish, and of CSV whose columns are given."""

import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.errors import LoadError
from entasis_db.ids import digest_id
from entasis_db.model import Trade
from entasis_db.readers import Rejected, TradeRow, read_trades
from entasis_db.readers.columns import FileUnit, nanoseconds
from entasis_db.readers.rows import RowError
from tests.unit.readers.support import Write

BASE = datetime(2025, 6, 1, tzinfo=UTC)
SECONDS = 1748736000

BYBIT = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional"
)
UUID = "0a1b2c3d-1111-5222-8333-444455556666"


def after(**span: Any) -> datetime:
    return BASE + timedelta(**span)


def all_of(reader: Any) -> list[Trade]:
    rows = list(reader)
    assert all(isinstance(row, TradeRow) for row in rows), rows
    return [row.trade for row in rows]


@pytest.mark.parametrize("rpi", ["", ",RPI"])
def test_bybit_contracts(write: Write, rpi: str) -> None:
    rest = ",PlusTick," + UUID + ",1.2e+11,0.012,1248" + (",0" if rpi else "")
    reader = read_trades(
        write(
            f"{BYBIT}{rpi}\n{SECONDS}.1234,BTCUSDT,Buy,0.012,104000.10{rest}\n"
            f"{SECONDS},BTCUSD,Sell,250,37300.5{rest}\n",
            "BTCUSDT2025-06-01.csv",
        )
    )
    assert reader.layout == "bybit"
    assert all_of(reader) == [
        Trade(
            *(digest_id(UUID), "BTCUSDT", "bybit", after(microseconds=123400)),
            *(Decimal("104000.10"), Decimal("0.012"), "buy", UUID),
        ),
        Trade(
            *(digest_id(UUID), "BTCUSD", "bybit", BASE),
            *(Decimal("37300.5"), Decimal(250), "sell", UUID),
        ),
    ]
    # a live feed's milliseconds are coarser than what has decimals
    assert reader.time_units[("bybit", "BTCUSDT")] == "us"


def test_ids_of_bybit_spot_count_the_rows_of_a_file(write: Write) -> None:
    lines = "".join(
        f"{row},{SECONDS}{ms:03},{104000 + row}.10,0.5,sell,0\n"
        for row, ms in [(1, 5), (2, 5), (3, 7)]
    )
    reader = read_trades(
        write("id,timestamp,price,volume,side,rpi\n" + lines, "BTCUSDT_2025-06-01.csv")
    )
    found = all_of(reader)
    assert [(trade.id, trade.timestamp) for trade in found] == [
        (0, after(milliseconds=5)),
        (1, after(milliseconds=5)),
        (0, after(milliseconds=7)),
    ]
    assert {(trade.exchange, trade.symbol, trade.side) for trade in found} == {
        ("bybit", "BTCUSDT-SPOT", "sell")
    }
    assert set(reader.id_spaces.values()) == {"ordinal"}
    edges = reader.edges((BASE, after(days=1)))
    assert [[trade.id for trade in edge.trades] for edge in edges] == [[0, 1], [0]]


def test_okx_new_and_old(write: Write) -> None:
    new = read_trades(
        write(
            "instrument_name,trade_id,side,price,size,created_time\n"
            f"BTC-USDT-SWAP,1500000001,buy,104000.1,3,{SECONDS}123\n"
        )
    )
    header = "trade_id/撮合id,side/交易方向,size/数量,price/价格,created_time/成交时间\n"
    body = f"1500000001,BUY,3.0,104000.1,{SECONDS}123\n"
    old = read_trades(
        write(
            gzip.compress(header.encode("gbk") + body.encode()),
            "BTC-USDT-SWAP-trades-2021-10-01.csv.gz",
        )
    )
    assert (new.layout, old.layout) == ("okx", "okx-old")
    assert all_of(new) == all_of(old)
    assert all_of(new) == [
        Trade(
            *(1500000001, "BTC-USDT-SWAP", "okx", after(milliseconds=123)),
            *(Decimal("104000.1"), Decimal(3), "buy"),
        )
    ]


def test_coinbase_states_the_side_of_the_maker(write: Write) -> None:
    path = write(
        "trade_id,price,size,side,time\n"
        "800000001,104000.11,0.00012345,sell,2025-06-01T02:00:00.123456Z\n"
    )
    with pytest.raises(LoadError, match="pass --symbol"):
        read_trades(path)
    with pytest.raises(LoadError, match=r"layout of coinbase's files, not of kraken"):
        read_trades(path, symbol="BTC-USD", exchange="kraken")
    assert all_of(read_trades(path, symbol="BTC-USD")) == [
        Trade(
            *(800000001, "BTC-USD", "coinbase", after(hours=2, microseconds=123456)),
            *(Decimal("104000.11"), Decimal("0.00012345"), "buy"),
        )
    ]


def test_kraken_without_a_header_only_where_it_is_named(write: Write) -> None:
    path = write(
        f"{SECONDS},104000.1,0.0025\n{SECONDS},104000.1,0.0025\n{SECONDS + 3}.5,104001.0,0.1\n",
        "XBTUSD.csv",
    )
    with pytest.raises(LoadError, match=r"not recognised.*--columns timestamp="):
        read_trades(path)
    found = all_of(read_trades(path, exchange="kraken"))
    assert [(trade.id, trade.timestamp, trade.symbol) for trade in found] == [
        (0, BASE, "XBTUSD"),
        (1, BASE, "XBTUSD"),
        (0, after(seconds=3.5), "XBTUSD"),
    ]
    assert found == all_of(read_trades(path, layout="kraken"))


@pytest.mark.parametrize(
    ("exchange", "symbol", "stored"),
    [
        ("binance", "BTCUSDT", ("binance-spot", "BTCUSDT")),
        ("binance-futures", "BTCUSDT", ("binance-usdm", "BTCUSDT")),
        ("binance-delivery", "BTCUSD_PERP", ("binance-cm", "BTCUSD_PERP")),
        ("okex-swap", "BTC-USDT-SWAP", ("okx", "BTC-USDT-SWAP")),
        ("bybit-spot", "BTCUSDT", ("bybit", "BTCUSDT-SPOT")),
        ("deribit", "BTC-PERPETUAL", ("deribit", "BTC-PERPETUAL")),
    ],
)
def test_tardis_under_our_names(
    write: Write, exchange: str, symbol: str, stored: tuple[str, str]
) -> None:
    path = write(
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
        f"{exchange},{symbol},{SECONDS}123456,{SECONDS}125001,7,unknown,104000.1,0.012\n"
    )
    (trade,) = all_of(read_trades(path))
    assert (trade.exchange, trade.symbol) == stored
    assert (trade.timestamp, trade.side) == (after(microseconds=123456), None)
    with pytest.raises(LoadError, match="leave out --exchange"):
        read_trades(path, exchange="okx")


BITFINEX = Trade(
    *(7, "tBTCUSD", "bitfinex", after(milliseconds=123)),
    *(Decimal(104000), Decimal("1E-8"), "sell"),
)
BITSTAMP = Trade(*(7, "btcusd", "bitstamp", BASE, Decimal(104000), Decimal("0.5"), "sell"))
OKX = Trade(
    *(7, "BTC-USDT", "okx", after(milliseconds=123), Decimal(104000), Decimal(3), "buy"),
)
OF_KAIKO = BITFINEX._replace(symbol="btcusd", exchange="bitstamp", volume=Decimal(2))


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (f"id,mts,amount,price\n7,{SECONDS}123,-1e-8,104000\n", {"symbol": "tBTCUSD"}, BITFINEX),
        (f"PRICE,ID,MTS,AMOUNT\n104000,7,{SECONDS}123,-1e-8\n", {"symbol": "tBTCUSD"}, BITFINEX),
        (
            f"\ufeffdate,tid,price,type,amount\r\n{SECONDS},7,104000,1,0.5\r\n",
            {"symbol": "btcusd"},
            BITSTAMP,
        ),
        (
            f'"timestamp","trade_id","price","amount","taker_side_sell"\n'
            f'"{SECONDS}123","7","104000","2","true"\n',
            {"symbol": "btcusd", "exchange": "bitstamp"},
            OF_KAIKO,
        ),
        (
            "created_time,instrument_name,Trade_ID,more,side,price,size\n"
            f"{SECONDS}123,BTC-USDT,7,1_0,buy,104000,3\n",
            {},
            OKX,
        ),
    ],
)
def test_columns_in_any_order_and_further_ones(
    write: Write, text: str, options: dict[str, str], expected: Trade
) -> None:
    assert all_of(read_trades(write(text.encode()), **options)) == [expected]


@pytest.mark.parametrize(
    "header",
    [
        # others' trades, whose side may mean another: somebody has to say it
        "trade_id,side,size,price,time,symbol",
        # BitMEX writes all that Bybit does
        BYBIT + ",trdType",
        "trade_id,price,price,size,side,time",
        "instrument_name,trade_id,side,price,size",
    ],
)
def test_what_is_only_like_a_layout_is_refused(write: Write, header: str) -> None:
    with pytest.raises(LoadError, match=r"not recognised.*--columns timestamp="):
        read_trades(write(f"{header}\n"), symbol="X")


def test_what_is_bad_is_told_by_its_column_wherever_that_is(write: Write) -> None:
    rows = list(
        read_trades(
            write(
                "created_time,side,instrument_name,price,size,trade_id\n"
                f"{SECONDS}123,buy,BTC-USDT,1_0,1,7\n{SECONDS}123,buy,BTC_USDT,1,1,7\n"
            )
        )
    )
    assert [row.code for row in rows if isinstance(row, Rejected)] == ["number"]


def test_instruments_that_are_only_numbered_are_no_one_market(write: Write) -> None:
    row = f"1,{SECONDS}123456789,0,1,{{}},T,B,0,6505250000000,2,0,13730,245991\n"
    header = (
        "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,"
        "ts_in_delta,sequence\n"
    )
    path = write(header + row.format(1) + row.format(2))
    first, second = read_trades(path, exchange="cme", symbol="ESU5")
    assert isinstance(first, TradeRow)
    assert first.trade.price == Decimal("6505.25")
    assert isinstance(second, Rejected)
    assert second.code == "event"


def test_numbers_of_the_first_row_are_no_names(write: Write) -> None:
    """Positions are meant where a file has no header: its price may be 1."""
    path = write(f"{SECONDS}.5,1,2\n{SECONDS + 1},3,1e-8\n", "XBTUSD.csv")
    expected = [(BASE + timedelta(seconds=0.5), 1, 2), (after(seconds=1), 3, Decimal("1E-8"))]
    for options in (
        {"exchange": "kraken"},
        {
            "exchange": "kraken",
            "symbol": "XBTUSD",
            "time_unit": "s",
            "columns": "timestamp=1,price=2,volume=3",
        },
    ):
        found = all_of(read_trades(path, **options))  # type: ignore[arg-type]
        assert [(t.timestamp, t.price, t.volume) for t in found] == expected


# --- columns that are given ----------------------------------------------------------------------

GIVEN = "timestamp=ts,price=px,volume=qty,id=tid"


def test_any_other_csv(write: Write) -> None:
    path = write(f"tid,ts,qty,junk,px,m\n9,{SECONDS}123,1.50,x,104000.10,True\n")
    reader = read_trades(
        *(path,),
        columns=f"{GIVEN},buyer_maker=m",
        time_unit="ms",
        exchange="bitstamp",
        symbol="BTCUSD",
    )
    assert all_of(reader) == [
        Trade(
            *(9, "BTCUSD", "bitstamp", after(milliseconds=123)),
            *(Decimal("104000.10"), Decimal("1.50"), "sell"),
        )
    ]
    assert reader.time_units == {("bitstamp", "BTCUSD"): "ms"}
    assert reader.id_spaces == {("bitstamp", "BTCUSD"): "trade"}


def test_digits_that_no_source_means_are_no_numbers_in_given_columns(write: Write) -> None:
    path = write(f"tid,ts,qty,px\na_1,{SECONDS},1_0,1\na_2,{SECONDS},1,\u0661\na_3,{SECONDS},1,1\n")
    rows = list(read_trades(path, columns=GIVEN, time_unit="s", exchange="x", symbol="Y"))
    assert [row.code for row in rows if isinstance(row, Rejected)] == ["number", "number"]
    assert [row.trade.source_id for row in rows if isinstance(row, TradeRow)] == ["a_3"]


def test_columns_by_position_with_and_without_a_header(write: Write) -> None:
    row = f"BTCUSD,{SECONDS},-2,104000.1\nBTCUSD,{SECONDS},2,1\n"
    given: dict[str, Any] = {
        "columns": "symbol=1,timestamp=2,volume=3,price=4",
        "time_unit": "s",
        "exchange": "bitfinex",
    }
    first = list(read_trades(write(row), **given))
    second = list(read_trades(write("a,b,c,d\n" + row), **given))
    assert [row[1] for row in first] == [row[1] for row in second]
    assert isinstance(first[0], TradeRow)
    assert (first[0].trade.volume, first[0].trade.side) == (Decimal(2), "sell")
    assert len(first) == 2


def test_a_sequence_that_counts_the_rows_is_none_with_given_columns_too(write: Write) -> None:
    def spaces(numbers: list[int]) -> set[str]:
        lines = "".join(f"{n},{SECONDS + i},1,2\n" for i, n in enumerate(numbers))
        reader = read_trades(
            write("n,ts,px,qty\n" + lines),
            columns="timestamp=ts,price=px,volume=qty,sequence=n",
            time_unit="s",
            exchange="x",
            symbol="Y",
        )
        all_of(reader)
        return set(reader.id_spaces.values())

    assert spaces([0, 1, 2]) == {"ordinal"}
    assert spaces([0, 1, 5]) == {"sequence"}
    assert spaces([7, 8]) == {"sequence"}


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("timestamp=ts,price=px", "volume must be given"),
        (f"{GIVEN},colour=c", "'colour=c' is not understood"),
        (f"{GIVEN},price=qty", "price is given twice"),
        (f"{GIVEN},side=a,buyer_maker=b", "one of side"),
        ("timestamp=ts,price=px,volume=quantity", "'quantity', and there is none"),
        ("timestamp=ts,price=px,volume=2x", "'2x', and there is none"),
        ("timestamp", "'timestamp' is not understood"),
    ],
)
def test_columns_that_cannot_be_meant(write: Write, columns: str, told: str) -> None:
    path = write("ts,px,qty,tid,a,b\n1,1,1,1,1,1\n")
    with pytest.raises(LoadError, match=told):
        read_trades(path, columns=columns, time_unit="s", exchange="x", symbol="Y")


def test_a_market_that_nothing_names(write: Write) -> None:
    path = write("ts,px,qty,tid\n1,1,1,1\n")
    with pytest.raises(LoadError, match="pass --exchange"):
        read_trades(path, columns=GIVEN, time_unit="s", symbol="Y")
    with pytest.raises(LoadError, match="pass --symbol"):
        read_trades(path, columns=GIVEN, time_unit="s", exchange="x")
    with pytest.raises(LoadError, match="not both"):
        read_trades(path, columns=GIVEN, layout="okx")


@pytest.mark.parametrize(
    ("text", "unit", "code"),
    [
        ("1748736000", None, "timestamp"),
        ("2025-06-01T00:00:00", None, "timestamp"),
        ("2025-06-31T00:00:00Z", None, "timestamp"),
        ("1.7e9", "s", "timestamp"),
        ("-1", "s", "timestamp"),
        ("", "s", "timestamp"),
        ("nan", "ms", "timestamp"),
    ],
)
def test_times_that_are_none(text: str, unit: FileUnit | None, code: str) -> None:
    with pytest.raises(RowError) as caught:
        nanoseconds(text, unit)
    assert caught.value.code == code


@given(
    st.integers(0, 4 * 10**18),
    st.sampled_from([("s", 9), ("ms", 6), ("us", 3), ("ns", 0)]),
    st.integers(0, 9),
)
def test_times_are_read_from_their_text(moment: int, unit: tuple[FileUnit, int], kept: int) -> None:
    """No digit passes through a binary float: what is stated is what is read."""
    name, digits = unit
    kept = min(kept, digits)
    moment -= moment % 10 ** (digits - kept)
    whole, rest = divmod(moment, 10**digits)
    text = f"{whole}.{rest:0{digits}}"[: len(str(whole)) + 1 + kept] if kept else str(whole)
    assert int(nanoseconds(text, name)) == moment


_EARLY = datetime(1971, 1, 1)  # noqa: DTZ001 - Hypothesis adds the zone


@given(st.datetimes(timezones=st.just(UTC), min_value=_EARLY), st.integers(-840, 840))
def test_iso_times_with_any_offset(moment: datetime, minutes: int) -> None:
    local = (moment + timedelta(minutes=minutes)).replace(tzinfo=None)
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    text = f"{local.isoformat(timespec='microseconds')}{offset}"
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert int(nanoseconds(text, None)) == expected
    assert int(nanoseconds(text.replace("T", " "), None)) == expected


def test_what_a_row_says_wrongly_is_rejected_with_its_own_line(write: Write) -> None:
    path = write(
        "instrument_name,trade_id,side,price,size,created_time\n"
        f"BTC-USDT,1,hold,1,1,{SECONDS}000\nBTC-USDT,2,buy,1,1,x\nBTC-USDT,2,buy,1_0,1,1\n"
    )
    rows = list(read_trades(path))
    assert [row.code for row in rows if isinstance(row, Rejected)] == [
        *("side", "timestamp", "number"),
    ]
    assert isinstance(rows[1], Rejected)
    assert rows[1].payload == "BTC-USDT,2,buy,1,1,x"
