"""Quotes of options that cannot be."""

from datetime import timedelta
from typing import Any

import pytest

from entasis_db import quality
from entasis_db.model import OptionQuote
from tests.db import Connection, ensure
from tests.make import EXPIRY, NOON, D, insert_quotes, quote

pytestmark = pytest.mark.newest_server

S = D(2500)


def chain(unit: Any, **changes: Any) -> list[OptionQuote]:
    """Sound quotes around the price, in the underlying or in quote units."""
    return [
        quote(
            n,
            strike_price=D(strike),
            option_type=kind,
            underlying_price=S,
            bid_price=(max(S - strike if kind == "call" else strike - S, D(0)) + 90) / unit,
            ask_price=(max(S - strike if kind == "call" else strike - S, D(0)) + 110) / unit,
            **changes,
        )
        for n, (strike, kind) in enumerate(
            [(k, kind) for k in range(2000, 3700, 200) for kind in ("call", "put")]
        )
    ]


FAULTS = {
    "crossed_quote": {"bid_price": D(930), "ask_price": D(900)},
    "impossible_delta": {"delta": D("-1.01")},
    "negative_gamma": {"gamma": D("-0.001")},
    "zero_iv": {"iv": D(0)},
    "below_intrinsic": {"ask_price": D(400), "bid_price": D(390)},
}


@pytest.mark.parametrize("unit", [1, 2500])
def test_each_fault_is_found_once(connection: Connection, unit: int) -> None:
    ensure(connection, "option_data", NOON, NOON + timedelta(days=1))
    sound = chain(unit)
    insert_quotes(connection, *sound)
    assert quality.detect(connection).found == 0
    (deep,) = (q for q in sound if (q.strike_price, q.option_type) == (2000, "call"))
    prices = ("bid_price", "ask_price")
    bad = [
        deep._replace(
            id=100 + n,
            timestamp=NOON + timedelta(minutes=n),
            **{k: v / unit if k in prices else v for k, v in fault.items()},
        )
        for n, fault in enumerate(FAULTS.values())
    ]
    # noise of doubles; nobody bids, nobody asks; a volatility of one side that is none
    fine = deep._replace(
        id=200, gamma=D("-8e-14"), delta=D(1), bid_price=D(0), ask_price=D(0), mark_price=None,
        bid_iv=D("0.4"), ask_iv=D(0),
    )  # fmt: skip
    crossed = deep._replace(id=201, bid_iv=D("0.5"), ask_iv=D("0.4"))
    insert_quotes(connection, *bad, fine, crossed)
    assert quality.detect(connection).found == 6
    rows = quality.anomalies().fetch(connection)
    assert sorted((one.row_key["id"], one.kind) for one in rows) == [
        *((100 + n, kind) for n, kind in enumerate(FAULTS)),
        (201, "crossed_quote"),
    ]
    assert {one.symbol for one in rows} == {"ETH"}
    assert rows[0].row_key["expiry_date"] == EXPIRY.isoformat()
    # whatever the range, none is found twice, and what was deleted is gone
    quality.detect(connection, NOON - timedelta(hours=1), NOON + timedelta(minutes=3))
    quality.detect(connection)
    assert len(quality.anomalies(None).fetch(connection)) == 6
    connection.execute("DELETE FROM entasis.option_data WHERE id = 101")
    quality.detect(connection, NOON, NOON + timedelta(hours=1))
    assert [one.kind for one in quality.anomalies("gone").fetch(connection)] == ["impossible_delta"]


def test_one_quote_alone_is_below_in_either_unit(connection: Connection) -> None:
    ensure(connection, "option_data", NOON, NOON + timedelta(days=1))
    low = quote(1, strike_price=D(2000), underlying_price=S, ask_price=D("0.1"))
    fine = quote(1, underlying="BTC", strike_price=D(2000), underlying_price=S, ask_price=D("0.4"))
    insert_quotes(connection, low, fine)
    quality.detect(connection)
    (one,) = quality.anomalies().fetch(connection)
    assert (one.kind, one.symbol) == ("below_intrinsic", "ETH")


def test_new_quotes_only(connection: Connection) -> None:
    """From an hour before the newest on; older ones by their range."""
    ensure(connection, "option_data", NOON, NOON + timedelta(days=1))
    bad = [quote(n, delta=D(2), timestamp=NOON + n * timedelta(minutes=30)) for n in range(1, 6)]
    insert_quotes(connection, *bad[3:4])
    assert quality.detect(connection).found == 1
    insert_quotes(connection, bad[0], bad[2], bad[4])
    assert quality.detect(connection).found == 2
    assert quality.detect(connection, NOON).found == 1
