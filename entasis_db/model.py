"""What goes in: one trade and one option quote, as plain tuples.

They are tuples, not dataclasses, because a loader makes millions of them.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple


class Trade(NamedTuple):
    """One trade of one market, as its source reported it."""

    symbol: str
    """The instrument, in the exchange's own spelling; 1 to 20 characters."""
    exchange: str
    """The venue; 1 to 20 characters. A symbol and an exchange make a market."""
    timestamp: datetime
    """When it was made: timezone-aware, kept to the microsecond."""
    id: int
    """The source's own number of the trade, unique within (symbol, exchange, timestamp)."""
    price: Decimal
    """Quote units for one base unit; above 0, below 1e12, at most 12 decimals."""
    volume: Decimal
    """Base units; above 0, below 1e12, at most 12 decimals."""


class OptionQuote(NamedTuple):
    """One quote of one option contract."""

    underlying: str
    """What the option is on; 1 to 20 characters."""
    strike_price: Decimal
    """Strike, in quote units of the underlying; above 0, below 1e12, at most 12 decimals."""
    expiry_date: datetime
    """When the contract expires: timezone-aware."""
    option_type: str
    """``call`` or ``put``."""
    timestamp: datetime
    """When the quote was made: timezone-aware, kept to the microsecond."""
    id: int
    """Tells quotes of one contract at one timestamp apart; the source's, or their ordinal."""
    iv: Decimal | None
    """Implied volatility, a fraction per year (0.65, never 65); None where there is none."""
    delta: Decimal | None
    """Change of the option's price per unit of the underlying's price."""
    gamma: Decimal | None
    """Change of delta per unit of the underlying's price."""
    theta: Decimal | None
    """Change of the option's price per day, as the source states it."""
    vega: Decimal | None
    """Change of the option's price per point of volatility, as the source states it."""
