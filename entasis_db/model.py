"""What is written, and what queries return: trades, quotes, candles, predictions and positions.

Fields are the table's columns in the table's order, but those of a quote that must be given come
first. Make rows with keywords.

All are named tuples, made by the million: see docs/decisions/0023. Trades, quotes and candles are
equal when all their fields are, whatever the number of trailing zeros and whatever the zone of a
time.

Predictions and positions have computed numbers, few of which have a short decimal form. A float is
taken as the shortest decimal that is read back as the same float, as ``repr`` shows it, and held as
a Decimal; the writers round what has more decimals than the column, half to even, and count it. Two
rows are equal when they say the same: ``id`` is the database's own and does not count. They are
made with keywords, and their values are checked, also by ``_replace``.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, Self
from uuid import UUID

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
    source_id: str | None = None
    """The source's own text of the id, where that is no 64-bit integer: the id is its digest_id().
    1 to 128 characters, as a name. None: the id is the source's number, or the source has none."""
    excluded: str | None = None
    """Why no candle counts it: ``insurance_fund``, ``adl``, ``block``, ``confirmed_bad``, or
    another word of a-z, 0-9 and _. None: candles count it."""


class OptionQuote(NamedTuple):
    """One quote of one option contract: which and when, and what the source tells of it.

    Volatilities and greeks are computed by models: where they are written, they are rounded half to
    even to 18 decimals, and become None when they are no number or out of bounds; IngestReport
    counts both. Prices and open interest are kept exactly, or the quote is refused.
    """

    underlying: str
    """What the option is on; 1 to 64 characters, as the symbol of a trade."""
    strike_price: Decimal
    """Strike, in quote units of the underlying; above 0, below 1e12, at most 12 decimals."""
    expiry_date: datetime
    """When the contract expires: timezone-aware. The last microsecond of the day, in the venue's
    zone or in UTC, where the source gives a date."""
    option_type: OptionType
    """``call`` or ``put``."""
    timestamp: datetime
    """When the quote was made: timezone-aware, kept to the microsecond. The beginning of the
    day, in the venue's zone or in UTC, where the source gives a date. In UTC where it was read."""
    id: int | None = None
    """Tells quotes of one contract at one timestamp apart: the source's, or their ordinal among
    those that differ. None: the source has none, and it is given when the quote is stored; never
    where it was read."""
    iv: Decimal | None = None
    """Implied volatility of the mark price, or the only one: a fraction per year (0.65, never 65);
    from 0 to below 1e6. None, here and below: the source gave none, or one that is not stored."""
    delta: Decimal | None = None
    """Change of the option's price per unit of the underlying's price; between -1e12 and 1e12, as
    the other greeks."""
    gamma: Decimal | None = None
    """Change of delta per unit of the underlying's price."""
    theta: Decimal | None = None
    """Change of the option's price per day, as the source states it."""
    vega: Decimal | None = None
    """Change of the option's price per point of volatility, as the source states it."""
    bid_price: Decimal | None = None
    """Best bid for one unit of the option, as sent, in the units that the venue quotes in:
    Deribit's contracts settled in the coin are quoted in the underlying (0.07 BTC), others in quote
    units. From 0 to below 1e20, at most 18 decimals, as the other prices."""
    ask_price: Decimal | None = None
    """Best ask; units as of bid_price."""
    mark_price: Decimal | None = None
    """What the venue takes the option to be worth; units as of bid_price."""
    bid_iv: Decimal | None = None
    """Implied volatility of the best bid; as iv."""
    ask_iv: Decimal | None = None
    """Implied volatility of the best ask; as iv."""
    underlying_price: Decimal | None = None
    """Price of what the option is on; quote units for one unit of the underlying."""
    open_interest: Decimal | None = None
    """How much of the contract is open, in the venue's contracts; from 0 to below 1e20, at most 18
    decimals."""
    rho: Decimal | None = None
    """Change of the option's price per point of the interest rate, as the source states it."""


CandleInterval = Literal[
    "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1mo"
]
"""How long the candles are that exchanges publish."""


class ExchangeCandle(NamedTuple):
    """A candle as an exchange publishes it (a kline)."""

    symbol: str
    """The instrument, as in Trade."""
    exchange: str
    """The venue, as in Trade."""
    interval: CandleInterval
    """How long it is."""
    bucket: datetime
    """When it begins: timezone-aware, a whole minute. In UTC where it was read."""
    open: Decimal
    """First price; between -1e20 and 1e20, at most 18 decimals."""
    high: Decimal
    """Highest price."""
    low: Decimal
    """Lowest price."""
    close: Decimal
    """Last price."""
    volume: Decimal
    """What was traded, from 0; below 1e20, at most 18 decimals."""
    quote_volume: Decimal | None = None
    """The same in quote units, as the exchange rounds it. None: it does not state it."""
    trades: int | None = None
    """Number of trades. None: the exchange does not state it."""


TRADE_KEY: Sequence[str] = ("symbol", "timestamp", "exchange", "id")
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

Number = Decimal | float | int
"""What a number may be given as. Other kinds with an exact text, as numpy's, are taken too."""


class _Computed(tuple[Any, ...]):
    """What predictions and positions have beside their fields, the first of which is the id."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self[1:] == other[1:]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[1:])

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        return (), self._asdict()  # type: ignore[attr-defined]

    def _replace(self, **changes: Any) -> Self:
        """Return a row with other values, checked as those of a new one."""
        return type(self)(**{**self._asdict(), **changes})  # type: ignore[attr-defined]


class _PredictionFields(NamedTuple):
    id: int | None
    """Number of the prediction, unique within its symbol. None: it was not read from a database."""
    model_id: str
    """Model that made it; 1 to 128 characters."""
    symbol: str
    """Instrument that it is about; 1 to 64 characters."""
    prediction_type: str
    """What predicted_value is: ``price``, ``return``, ``direction`` or the model's own type."""
    predicted_value: Decimal
    """Quote units for price, a fraction for return, above 0 up and below 0 down for direction.
    Between -1e20 and 1e20; 18 decimals are stored."""
    confidence: Decimal
    """The model's own certainty, from 0 to 1, both included; 18 decimals are stored."""
    timestamp: datetime
    """When it was made: timezone-aware. In UTC where it was read."""
    target_time: datetime | None
    """The moment that it is about, never before timestamp. None: none stated."""


class Prediction(_Computed, _PredictionFields):
    """What a model predicted."""

    __slots__ = ()

    def __new__(
        cls,
        *,
        id: int | None = None,  # noqa: A002 - the column's name
        model_id: str,
        symbol: str,
        prediction_type: str,
        predicted_value: Number,
        confidence: Number,
        timestamp: datetime,
        target_time: datetime | None = None,
    ) -> Self:
        """Take the values; ValueError where a number or a time is none."""
        return cls._make(
            (
                id,
                model_id,
                symbol,
                prediction_type,
                _decimal("predicted_value", predicted_value),
                _decimal("confidence", confidence),
                _aware("timestamp", timestamp),
                target_time and _aware("target_time", target_time),
            )
        )


class _PositionFields(NamedTuple):
    id: int | None
    """Number of the snapshot. None: it was not read from a database."""
    user_id: UUID
    """Whose position it is."""
    asset_type: str
    """What is held; 1 to 64 characters."""
    position_size: Decimal
    """Units held; below 0 for a short position. Between -1e20 and 1e20; 18 decimals are stored."""
    entry_price: Decimal
    """Average price paid; quote units for one unit, below 0 where a spread was opened for a credit.
    Bounds as those of position_size."""
    current_price: Decimal
    """Price at the snapshot; quote units for one unit. Bounds as those of position_size."""
    pnl: Decimal
    """Profit (above 0) or loss; quote units, as the writer reckons it. Between -1e24 and 1e24; 24
    decimals are stored."""
    timestamp: datetime
    """When the snapshot was taken: timezone-aware. In UTC where it was read."""


class PositionSnapshot(_Computed, _PositionFields):
    """One position of one user at one moment."""

    __slots__ = ()

    def __new__(
        cls,
        *,
        id: int | None = None,  # noqa: A002 - the column's name
        user_id: UUID,
        asset_type: str,
        position_size: Number,
        entry_price: Number,
        current_price: Number,
        pnl: Number,
        timestamp: datetime,
    ) -> Self:
        """Take the values; ValueError where a number or a time is none."""
        return cls._make(
            (
                id,
                user_id,
                asset_type,
                _decimal("position_size", position_size),
                _decimal("entry_price", entry_price),
                _decimal("current_price", current_price),
                _decimal("pnl", pnl),
                _aware("timestamp", timestamp),
            )
        )


def _decimal(name: str, number: object) -> Decimal:
    exact = _exact(name, number)
    if not exact.is_finite():
        raise ValueError(
            f"{name} is {number}, which is no number: nothing was computed, so make no row of it"
        )
    return exact


def _exact(name: str, number: object) -> Decimal:
    # float's own repr and int: those of numpy's subclasses and kinds may say more than the number
    match number:
        case Decimal():
            return number
        case float():
            return Decimal(float.__repr__(number))
        case Integral():
            return Decimal(int(number))
        case Real():
            try:
                return Decimal(str(number))
            except ArithmeticError:
                pass
    raise ValueError(f"{name} is {number!r}: give a Decimal, a float or an int")


def _aware(name: str, moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(
            f"{name} is {moment.isoformat()}, without a time zone: give one, such as tzinfo=UTC"
        )
    return moment
