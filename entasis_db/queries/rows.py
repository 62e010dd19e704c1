"""The rows that the named queries return, beside those that are written too (model).

They are named tuples, as trades and quotes are. Times are timezone-aware and in UTC, numbers are
exact (Decimal). Symbols, exchanges and models are in the spelling in which they were stored.
"""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated, NamedTuple

from entasis_db.model import MarketKind, OptionType, TimeUnit, VolumeUnit

Computed = Annotated[Decimal, "sums, quotients and products"]
"""A number that Arrow's 38 digits (24 of them decimals) may not hold: what does not fit is text."""


class Candle(NamedTuple):
    """What the trades of one market in [bucket, bucket + interval) came to."""

    symbol: str
    """Instrument, in the exchange's spelling."""
    exchange: str
    """Venue."""
    bucket: datetime
    """Beginning of the bucket. Days, weeks (from Monday) and months are those of UTC."""
    open: Decimal
    """Price of the trade with the smallest (timestamp, id); quote units."""
    high: Decimal
    """Highest price; quote units."""
    low: Decimal
    """Lowest price; quote units."""
    close: Decimal
    """Price of the trade with the largest (timestamp, id); quote units."""
    volume: Decimal
    """Sum of the volumes; in the market's volume_unit. 0 in a filled gap."""
    quote_volume: Decimal
    """Sum of price * volume, in the market's own units: quote units where its volume_unit is base.
    0 in a filled gap."""
    trades: int
    """How many trades. 0 in a filled gap, whose four prices are the close before it."""
    opened_at: datetime | None
    """When the opening trade was made. None in a filled gap."""
    first_trade_id: int | None
    """id of the opening trade. None in a filled gap."""
    closed_at: datetime | None
    """When the closing trade was made. None in a filled gap."""
    last_trade_id: int | None
    """id of the closing trade. None in a filled gap."""
    turnover: Decimal | None = None
    """What was traded, in quote units, exact: volume * contract_size for inverse contracts,
    quote_volume for spot, and times contract_size for linear contracts that are counted in
    contracts. 0 in a filled gap. None: entasis.markets does not know the kind or the size."""

    @property
    def vwap(self) -> Decimal | None:
        """Average price weighted by volume: quote_volume / volume; quote units.

        Where volume counts contracts of a value in quote units, the weights are these values.

        The only quotient here, so the only number that is rounded: to 34 significant digits, half
        to even, whatever the caller's decimal context is. None in a filled gap: nothing was traded.
        """
        if not self.volume:
            return None
        context = Context(prec=34, rounding=ROUND_HALF_EVEN, traps=[])
        return context.divide(self.quote_volume, self.volume)


class Market(NamedTuple):
    """An instrument on an exchange, and what is stored of it. None: not known."""

    symbol: str
    """Instrument, in the exchange's spelling."""
    exchange: str
    """Venue."""
    kind: MarketKind | None
    """What is traded."""
    base: str | None
    """Currency or asset that is priced."""
    quote: str | None
    """Currency that prices are in."""
    settlement: str | None
    """Currency in which a contract is settled; of spot None."""
    contract_size: Decimal | None
    """What one contract is worth: quote units for inverse contracts, base units for all others."""
    tick_size: Decimal | None
    """Smallest step of prices; quote units."""
    lot_size: Decimal | None
    """Smallest step of an order's size; in volume_unit."""
    expiry: datetime | None
    """When the contract expires. None: never, or not known."""
    volume_unit: VolumeUnit | None
    """What volumes count, as the exchange sends them."""
    is_active: bool | None
    """Whether it is traded, by the exchange's list when that was read. None: no list said."""
    usual_gap: timedelta | None
    """The longest gap between two trades that is usual while the market is traded."""
    id_space: str | None
    """What numbers its trades. None: no loader has said."""
    ids_rise: bool | None
    """Whether ids of the exchange's rise with time."""
    ids_dense: bool | None
    """Whether ids of the exchange's have no gaps."""
    time_units: list[TimeUnit]
    """Units in which loaders declared times so far."""
    source: str | None
    """File or feed that was loaded first; ``sql``: by plain SQL. None: no trade was loaded."""
    recorded_at: datetime
    """When the market was recorded."""
    set_by_hand: list[str]
    """What a person has set, which no loader and no list changes."""
    first_trade: datetime | None
    """When the first trade of the oldest daily candle was made. None: it has no candle."""
    last_trade: datetime | None
    """When the last trade of the newest daily candle was made. None: it has no candle."""
    trades: int
    """How many trades the daily candles count, also those that were dropped since."""


class SmilePoint(NamedTuple):
    """The newest implied volatility of one contract of an expiry, its moneyness and its delta."""

    expiry_date: datetime
    """When the contract expires."""
    strike_price: Decimal
    """Strike; quote units of the underlying."""
    option_type: OptionType
    """``call`` or ``put``."""
    iv: Decimal
    """Implied volatility, a fraction per year (0.65, never 65)."""
    bid_iv: Decimal | None
    """That of the best bid; some venues send 0 where nobody bids. None: the quote has none."""
    ask_iv: Decimal | None
    """That of the best ask; as bid_iv."""
    underlying_price: Decimal | None
    """Price of the underlying at the time of the quote; quote units. None: the quote has none."""
    moneyness: Decimal | None
    """strike_price / underlying_price, to 16 digits at least; None where that price is missing or
    0."""
    delta: Decimal | None
    """Change of the option's price per unit of the underlying's, as the source states it: below 0
    for a put. None: the quote has none."""
    timestamp: datetime
    """When the quote was made that all of this comes from."""
    id: int
    """id of that quote."""


class OptionExpiry(NamedTuple):
    """One expiry of an underlying, as known at one moment."""

    expiry_date: datetime
    """When its contracts expire."""
    contracts: int
    """How many contracts of it were quoted."""
    last_quote: datetime
    """When the newest of these quotes was made."""


class Model(NamedTuple):
    """What a model predicts: one type of prediction of one symbol."""

    model_id: str
    """The model."""
    symbol: str
    """Instrument that it predicts."""
    prediction_type: str
    """``price``, ``return``, ``direction`` or the model's own type."""
    first_prediction: datetime
    """When the oldest stored prediction was made."""
    last_prediction: datetime
    """When the newest stored prediction was made."""


class PredictionScore(NamedTuple):
    """What a model predicted, and what then happened on one exchange."""

    id: int
    """Number of the prediction, unique within its symbol."""
    model_id: str
    """Model that made it."""
    symbol: str
    """Instrument that it is about."""
    prediction_type: str
    """What predicted_value is: ``price``, ``return``, ``direction`` or the model's own type."""
    predicted_value: Decimal
    """Quote units for price, a fraction for return, above 0 up and below 0 down for direction."""
    confidence: Decimal
    """The model's own certainty, from 0 to 1, both included."""
    timestamp: datetime
    """When it was made."""
    target_time: datetime | None
    """The moment that it is about, never before timestamp. None: none stated."""
    base_price: Decimal | None
    """Price at timestamp; quote units. None: no trade is known in the lookback before it."""
    target_price: Decimal | None
    """Price at target_time; quote units. None: no target_time, or it is still to come, or no trade
    is known in the lookback before it."""
    actual_value: Decimal | None
    """What predicted_value should have been, in its unit. price: target_price. return:
    target_price / base_price - 1, rounded by the server to at least 16 significant digits; None
    where base_price is not above 0.
    direction: 1, 0 or -1. None: a price that it takes is None, or the type is the model's own."""
    error: Decimal | None
    """predicted_value - actual_value, in their unit. None where actual_value is."""
    hit: bool | None
    """Whether the price moved from base_price to the side that was predicted; no move is a side of
    its own. Decided on exact differences. None: a price is None, or the type is the model's own."""
