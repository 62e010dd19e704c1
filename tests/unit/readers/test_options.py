"""Readers of option quotes: Deribit's and SPY's layouts."""

from datetime import UTC, datetime
from decimal import Decimal, localcontext

import pytest

from entasis_db.model import OptionQuote
from entasis_db.readers import (
    REJECTIONS,
    Rejected,
    read_options,
)
from tests.unit.readers.support import AT_MS, DERIBIT, MS, Write, quotes

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
            underlying="SPY",
            strike_price=Decimal("345.0"),
            expiry_date=datetime(2021, 1, 29, tzinfo=UTC),
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
