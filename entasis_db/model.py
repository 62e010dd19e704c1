"""One trade and one option quote: what is written, and what queries return.

They are named tuples, because they are made by the million: see docs/decisions/0023. Their fields
are the table's columns in the table's order, and writers sort by the key, which has another one:
make them with keywords. Rows are equal when all their fields are, whatever the number of trailing
zeros and whatever the zone of a time.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

OptionType = Literal["call", "put"]
Side = Literal["buy", "sell"]
TimeUnit = Literal["s", "ms", "us"]
"""A unit in which exchanges and vendors state times."""
MarketKind = Literal[
    "spot",
    "linear_perpetual",
    "linear_future",
    "inverse_perpetual",
    "inverse_future",
    "option",
    "combo",
    "spread",
]
"""What is traded. Linear contracts are settled in the currency that prices are in, inverse ones in
the base; a combo is several contracts in one, a spread the difference of two."""
VolumeUnit = Literal["base", "contracts", "quote"]
"""What a market's volumes count, as the exchange sends them: base units, contracts of a fixed size,
or quote units."""


class Trade(NamedTuple):
    """One trade of one market, as its source reported it."""

    id: int
    """The source's own number of the trade, unique within (symbol, exchange, timestamp)."""
    symbol: str
    """The instrument, in the exchange's own spelling; 1 to 64 characters, with no space at the ends
    and none that control or turn text."""
    exchange: str
    """The venue; as the symbol. A symbol and an exchange make a market."""
    timestamp: datetime
    """When it was made, by the exchange's clock: timezone-aware, kept to the microsecond. In UTC
    where it was read."""
    price: Decimal
    """Quote units for one base unit; below 1e20, at most 18 decimals. Above 0, but for combos and
    spreads: there above -1e20."""
    volume: Decimal
    """What was traded, in the market's volume_unit; above 0, below 1e20, at most 18 decimals."""
    side: Side | None = None
    """Side of the order that took liquidity, the aggressor. None: the source does not state it."""


class OptionQuote(NamedTuple):
    """One quote of one option contract."""

    id: int | None
    """Tells quotes of one contract at one timestamp apart: the source's, or their ordinal among
    those that differ. None: the source has none, and it is given when the quote is stored; never
    where it was read."""
    underlying: str
    """What the option is on; 1 to 64 characters, as the symbol of a trade."""
    strike_price: Decimal
    """Strike, in quote units of the underlying; above 0, below 1e12, at most 12 decimals."""
    expiry_date: datetime
    """When the contract expires: timezone-aware. Midnight UTC where the source gives a date."""
    option_type: OptionType
    """``call`` or ``put``."""
    iv: Decimal | None
    """Implied volatility, a fraction per year (0.65, never 65). None: the source gave none."""
    delta: Decimal | None
    """Change of the option's price per unit of the underlying's price. None: none given."""
    gamma: Decimal | None
    """Change of delta per unit of the underlying's price. None: none given."""
    theta: Decimal | None
    """Change of the option's price per day, as the source states it. None: none given."""
    vega: Decimal | None
    """Change of the option's price per point of volatility, as the source states it. None: none
    given."""
    timestamp: datetime
    """When the quote was made: timezone-aware, kept to the microsecond. Midnight UTC where the
    source gives a date. In UTC where it was read."""


TRADE_KEY: Sequence[str] = ("symbol", "exchange", "timestamp", "id")
"""The fields of Trade that are the key of market_data, in its order."""
OPTION_KEY: Sequence[str] = (
    "underlying",
    "expiry_date",
    "strike_price",
    "option_type",
    "timestamp",
    "id",
)
"""The fields of OptionQuote that are the key of option_data, in its order."""
