"""Readers of option quotes: Deribit's and SPY's layouts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

import pytest

from entasis_db.errors import LoadError
from entasis_db.model import OptionQuote
from entasis_db.readers import (
    REJECTIONS,
    OptionRow,
    Rejected,
    read_options,
)
from tests.unit.readers.support import AT_MS, DERIBIT, EPOCH, MS, Write, quotes

SPY = (
    "underlying,underlying_last,optionroot,type,expiration,quotedate,strike,last,bid,ask,"
    "volume,openinterest,impliedvol,delta,gamma,theta,vega,optionalias\n"
)


def deribit(name: str, iv: str = "120.74", stamp: int | str = MS) -> str:
    return f"1.5,{name},{stamp},{iv},1,2,3,4,5,0.20072,-1.64029,0.01188,2e-05,9e-05\n"


def test_deribit(write: Write) -> None:
    (quote,) = quotes(write(DERIBIT + deribit("ETH-30JUL21-2800-C")))
    assert quote == OptionQuote(
        underlying="ETH",
        strike_price=Decimal(2800),
        expiry_date=datetime(2021, 7, 30, 8, tzinfo=UTC),
        option_type="call",
        timestamp=AT_MS,
        id=None,
        iv=Decimal("1.2074"),
        delta=Decimal("9E-5"),
        gamma=Decimal("2E-5"),
        theta=Decimal("-1.64029"),
        vega=Decimal("0.20072"),
        mark_price=Decimal(3),
        bid_iv=Decimal("0.01"),
        ask_iv=Decimal("0.02"),
        underlying_price=Decimal(4),
        open_interest=Decimal(5),
        rho=Decimal("0.01188"),
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
        (deribit("ETH-30JUL21-2800-C", stamp=10**17), "timestamp"),
        (deribit("ETH-30JUL21-2800-C", stamp=-MS), "timestamp"),
        (deribit("ETH-30JUL21-2800-C", stamp=f"{MS}.5"), "timestamp"),
        (deribit("BTC-27JUN25-100000-C-USDT"), "instrument"),
        (deribit("ETH-30JUL21-2800-\u00df"), "instrument"),
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


@pytest.mark.parametrize(
    ("stamp", "microseconds", "cut"),
    [
        (1748736000, 1748736000_000000, 0),
        (1748736000123, 1748736000_123000, 0),
        (1748736000123456, 1748736000_123456, 0),
        (1748736000123456000, 1748736000_123456, 0),
        (1748736000123456999, 1748736000_123456, 1),
    ],
)
def test_deribit_times_in_what_unit_a_vendor_likes(
    write: Write, stamp: int, microseconds: int, cut: int
) -> None:
    reader = read_options(write(DERIBIT + deribit("ETH-30JUL21-2800-C", stamp=stamp)))
    (row,) = reader
    assert isinstance(row, OptionRow)
    assert row.quote.timestamp == EPOCH + timedelta(microseconds=microseconds)
    assert reader.truncated_nanoseconds == cut


def test_deribit_names_in_small_letters(write: Write) -> None:
    large, small = (
        write(DERIBIT + deribit(name), name=name)
        for name in ("XRP_USDC-6AUG23-0d625-P", "xrp_usdc-6aug23-0d625-p")
    )
    assert quotes(large) == quotes(small)


OWN = "underlying,strike_price,expiry_date,option_type,timestamp_ns"
AT_NS = 1723161257679123456


def test_our_own_layout(write: Write) -> None:
    names = OptionQuote._fields[5:]
    values = [str(n) for n in range(len(names))]
    line = f"BTC,0.5,2024-09-27T08:00:00Z,put,{AT_NS},{','.join(values)}\n"
    reader = read_options(write(f"{OWN},{','.join(names)}\n{line}"))
    (row,) = reader
    assert isinstance(row, OptionRow)
    assert row.quote == OptionQuote(
        "BTC",
        Decimal("0.5"),
        datetime(2024, 9, 27, 8, tzinfo=UTC),
        "put",
        AT_MS.replace(microsecond=679123),
        *map(int, values),  # type: ignore[arg-type]
    )
    assert type(row.quote.id) is int
    assert reader.layout == "entasis"
    assert reader.truncated_nanoseconds == 1


def test_our_own_layout_with_some_columns(write: Write) -> None:
    header = f"{OWN},rho,id,iv\n"
    lines = f"BTC,1,2024-09-27,call,{AT_NS},-1,7,0.65\nBTC,1,2024-09-27,call,0,,,\n"
    one, other = quotes(write(header + lines))
    assert (one.id, one.iv, one.rho, one.bid_price) == (7, Decimal("0.65"), Decimal(-1), None)
    assert (other.id, other.iv, other.rho, other.timestamp) == (None, None, None, EPOCH)
    assert one.expiry_date == datetime(2024, 9, 27, 23, 59, 59, 999999, tzinfo=UTC)
    assert quotes(write(f"{OWN}\nBTC,1,2024-09-27,call,0\n"))[0] == other


@pytest.mark.parametrize(
    "header", [f"{OWN},iv,iv", f"{OWN},price", f"iv,{OWN}", "strike_price," + OWN, OWN[:-3]]
)
def test_another_header_is_not_ours(write: Write, header: str) -> None:
    with pytest.raises(LoadError, match=r"layout is not recognised.*entasis \(underlying,"):
        read_options(write(header + "\n"))


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [
        ("2024-09-27T08:00:00+02:00", datetime(2024, 9, 27, 6, tzinfo=UTC)),
        ("2024-09-27 08:00:00.123456Z", datetime(2024, 9, 27, 8, 0, 0, 123456, tzinfo=UTC)),
        ("2024-09-27T08:00:00.1234567Z", None),  # would have to be cut
        ("2024-09-27T08:00:00", None),
        ("2024-09-27T25:00:00Z", None),
        ("0001-01-01T00:00:00+02:00", None),
        ("20240927", None),
        ("2024-W39-5", None),
        ("", None),
    ],
)
def test_moments_of_expiry(write: Write, expiry: str, expected: datetime | None) -> None:
    (row,) = read_options(write(f"{OWN}\nBTC,1,{expiry},call,0\n"))
    if expected is None:
        assert isinstance(row, Rejected)
        assert row.code == "timestamp"
    else:
        assert isinstance(row, OptionRow)
        assert row.quote.expiry_date == expected
        assert row.quote.expiry_date.tzinfo is UTC


@pytest.mark.parametrize(
    ("zone", "begin", "end"),
    [
        ("America/New_York", "2021-01-04T05:00Z", "2021-01-30T04:59:59.999999Z"),
        ("Asia/Tokyo", "2021-01-03T15:00Z", "2021-01-29T14:59:59.999999Z"),
    ],
)
def test_days_are_the_venues(write: Write, zone: str, begin: str, end: str) -> None:
    (row,) = read_options(write(SPY + spy()), zone=ZoneInfo(zone))
    assert isinstance(row, OptionRow)
    assert row.quote.timestamp == datetime.fromisoformat(begin)
    assert row.quote.expiry_date == datetime.fromisoformat(end)


def test_the_last_day_ends_when_its_hour_was_for_the_second_time(write: Write) -> None:
    # in Paraguay the clock was put back at midnight: 23:00 to 24:00 came twice
    lines = SPY + spy(expiry="2021-03-27", day="2021-03-01")
    (row,) = read_options(write(lines), zone=ZoneInfo("America/Asuncion"))
    assert isinstance(row, OptionRow)
    assert row.quote.expiry_date == datetime(2021, 3, 28, 3, 59, 59, 999999, tzinfo=UTC)


def test_spy_states_days(write: Write) -> None:
    assert quotes(write(SPY + spy())) == [
        OptionQuote(
            underlying="SPY",
            strike_price=Decimal("345.0"),
            expiry_date=datetime(2021, 1, 29, 23, 59, 59, 999999, tzinfo=UTC),
            option_type="put",
            timestamp=datetime(2021, 1, 4, tzinfo=UTC),
            id=None,
            iv=Decimal("0.28804"),
            delta=Decimal("-0.17798"),
            gamma=Decimal("0.00937"),
            theta=Decimal("-0.1447"),
            vega=None,
            bid_price=Decimal(2),
            ask_price=Decimal(3),
            underlying_price=Decimal("368.79"),
            open_interest=Decimal(5),
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
