"""What the tests of analysis share: quotes and predictions, and how close is the same."""

from datetime import datetime
from fractions import Fraction

from entasis_db.model import OptionType
from entasis_db.queries import OptionQuote, Prediction
from tests import make
from tests.contract.queries.support import DAY, MARCH
from tests.make import D

NEAR = MARCH + 20 * DAY
CLOSE = Fraction(1, 10**14)
"""Quotients are rounded by the server, and some follow each other."""


def same(found: object, expected: Fraction | float | None) -> bool:
    if expected is None or found is None:
        return found is None and expected is None
    exact = Fraction(expected)
    return abs(Fraction(found) - exact) <= CLOSE * max(1, abs(exact))  # type: ignore[arg-type]


def sure(p: Prediction, confidence: str) -> Prediction:
    return p._replace(confidence=D(confidence))


def drawn_quote(
    at: datetime,
    number: int,
    underlying: str,
    expiry: datetime,
    strike: int,
    option_type: OptionType,
    iv: str | None,
    price: int | None,
    delta: str | None,
    interest: int | None,
) -> OptionQuote:
    signed = None if delta is None else D(delta) * (1 if option_type == "call" else -1)
    return make.quote(
        number,
        timestamp=at,
        underlying=underlying,
        expiry_date=expiry,
        strike_price=D(strike),
        option_type=option_type,
        iv=None if iv is None else D(iv),
        underlying_price=None if price is None else D(price),
        delta=signed,
        open_interest=None if interest is None else D(interest),
    )


def smile(
    at: datetime, expiry: datetime, level: str = "0.5", price: int = 100
) -> list[OptionQuote]:
    """Make one expiry's smile: at the money the level, 0.03 above it at the calls, 0.09 at puts."""
    base = D(level)
    numbers: tuple[tuple[OptionType, int, str, str], ...] = (
        ("call", 100, "0.5", "0"),
        ("call", 110, "0.3", "0.02"),
        ("call", 120, "0.2", "0.04"),
        ("put", 90, "-0.3", "0.06"),
        ("put", 80, "-0.2", "0.12"),
    )
    return [
        make.quote(
            0,
            timestamp=at,
            underlying="BTC",
            expiry_date=expiry,
            strike_price=D(strike),
            option_type=option_type,
            iv=base + D(over),
            delta=D(delta),
            underlying_price=D(price),
        )
        for option_type, strike, delta, over in numbers
    ]
