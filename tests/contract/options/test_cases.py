"""Small files that failed: each line comes to its right value."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entasis_db import queries
from entasis_db.ingest import IngestReport, load_options
from entasis_db.model import OptionQuote
from tests.contract.options.test_ingest import stored
from tests.contract.trades.support import quarantined
from tests.make import D

pytestmark = [pytest.mark.copy, pytest.mark.samples]

Connection = psycopg.Connection[Any]

EXPIRY = datetime(2025, 6, 27, 8, tzinfo=UTC)
AT = datetime(2025, 6, 1, 0, 0, 0, 123000, tzinfo=UTC)


def load(connection: Connection, path: Path) -> IngestReport:
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
    return load_options(connection, path).report


def btc(microsecond: int = 123000, number: int = 0, **changes: Decimal | None) -> OptionQuote:
    """Make the quote that most lines of the file are about."""
    told: dict[str, Any] = {
        "iv": D("0.452"),
        "delta": D("0.65"),
        "gamma": D("0.00002"),
        "theta": D("-90.2"),
        "vega": D("110.1"),
        "mark_price": D("0.07"),
        "underlying_price": D(104500),
        "open_interest": D(120),
        "rho": D("40.1"),
    }
    timestamp = AT.replace(microsecond=microsecond)
    key = ("BTC", D(100000), EXPIRY, "call", timestamp, number)
    return OptionQuote(*key, **told | changes)  # type: ignore[arg-type]


NOTHING = dict.fromkeys(("iv", "delta", "gamma", "theta", "vega", "rho"))


def expected_greeks() -> list[OptionQuote]:
    usdc = btc()._replace(underlying="BTC_USDC")
    return [
        btc(bid_iv=D("0.44"), ask_iv=D("0.46")),
        btc()._replace(
            underlying="SOL_USDC",
            strike_price=D(150),
            option_type="put",
            iv=D("12.505"),
            bid_iv=D(0),
            ask_iv=D(20),
            delta=D("-0.65"),
            gamma=D("0.00001"),
            theta=D("-0.2"),
            vega=D("0.1"),
            rho=D("0.1"),
            underlying_price=D(140),
            open_interest=D(12),
        ),
        btc()._replace(
            underlying="XRP_USDC",
            strike_price=D("0.625"),
            iv=D(0),
            gamma=D("0.1"),
            theta=D("-0.2"),
            vega=D("0.1"),
            rho=D("0.1"),
            underlying_price=D("0.5"),
            open_interest=D(12),
        ),
        btc(124000, **NOTHING),
        btc(125000, gamma=None),
        btc(126000, **NOTHING),
        btc(127000, iv=None),
        btc(128123),
        btc(0),
        usdc._replace(gamma=D("8.02E-16")),
        usdc._replace(option_type="put", gamma=D("1.234567890E-9")),
        usdc._replace(underlying="PAXG_USDC", strike_price=D(3300), gamma=D("-8.0179E-14")),
        btc(number=1, gamma=D("0.1")),
        btc(gamma=D("0.1"))._replace(
            expiry_date=datetime(2025, 6, 1, 8, tzinfo=UTC),
            timestamp=datetime(2025, 6, 1, 8, 3, 20, tzinfo=UTC),
        ),
    ]


def test_greeks_and_names(connection: Connection, samples: Path) -> None:
    """Six greeks of one line, the gamma of another and an IV of -1 are NULL; three are rounded."""
    path = samples.parent / "cases" / "options" / "greeks.csv"
    report = load(connection, path)
    assert report == IngestReport(14, 0, 2, rounded=3, nulled=8)
    # a perpetual is no option, and a contract settled in USDT is none of Deribit's
    assert quarantined(connection) == [
        ("greeks.csv", 11, "instrument"),
        ("greeks.csv", 16, "instrument"),
    ]
    assert sorted(stored(connection)) == sorted(expected_greeks())
    assert load(connection, path) == IngestReport(0, 14, 2, rounded=3, nulled=8)


def test_a_contract_is_in_the_chain_until_its_last_day_is_over(
    connection: Connection, samples: Path
) -> None:
    path = samples.parent / "cases" / "options" / "zero_dte.csv"
    assert load(connection, path) == IngestReport(3)
    last_day = datetime(2021, 1, 29, tzinfo=UTC)
    end = last_day + timedelta(days=1)

    def chain(at: datetime) -> list[tuple[date, Decimal | None]]:
        found = queries.option_chain("SPY", at, timedelta(days=2)).fetch(connection)
        return [(q.expiry_date.date(), q.bid_price) for q in found]

    february = (date(2021, 2, 26), D(9))
    for at in (last_day, end - timedelta(microseconds=2)):
        assert chain(at) == [(date(2021, 1, 29), D(0)), february]
    assert chain(end - timedelta(microseconds=1)) == chain(end) == [february]
    (point,) = queries.iv_smile("SPY", last_day.date(), last_day).fetch(connection)
    assert (point.iv, point.underlying_price, point.expiry_date.date()) == (
        D("0.30"),
        D("370.07"),
        last_day.date(),
    )
    assert point.moneyness is not None
    assert abs(point.moneyness - D(375) / D("370.07")) < D("1E-15")
