"""What was traded in a range: average prices, profile of volume, and which side took."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from entasis_db.queries.checks import check_interval, check_range, check_span
from entasis_db.queries.intervals import Interval
from entasis_db.queries.rows import Computed
from entasis_db.queries.statement import Statement, statement_of

_DAY = timedelta(days=1)


class Vwap(NamedTuple):
    """The average price of a range, weighted by volume. None: some of it was dropped."""

    trades: int | None
    """How many trades."""
    volume: Computed | None
    """Sum of the volumes; in the market's volume_unit. 0 without a trade."""
    quote_volume: Computed | None
    """Sum of price * volume, in the market's own units. 0 without a trade."""
    vwap: Computed | None
    """quote_volume / volume; quote units, to at least 24 decimals. None without a trade."""


class Twap(NamedTuple):
    """The average price of a range, weighted by time."""

    starts_at: datetime | None
    """from_time, or the first trade where no price is known at from_time. None: no price."""
    ends_at: datetime | None
    """to_time, or now where that is still to come. None: no price."""
    trades: int
    """How many trades of the range went in."""
    twap: Computed | None
    """Mean of the price over [starts_at, ends_at); quote units, to at least 24 decimals. None: no
    price, or some of the range was dropped."""


class ProfileLevel(NamedTuple):
    """What was traded at one step of prices."""

    price_from: Computed
    """Lower bound of the step, included; quote units."""
    price_to: Computed
    """Upper bound of the step, not included; quote units."""
    trades: int
    """How many trades."""
    volume: Computed
    """Sum of the volumes; in the market's volume_unit."""
    quote_volume: Computed
    """Sum of price * volume, in the market's own units."""
    buy_volume: Computed
    """Volume of trades whose taker bought."""
    sell_volume: Computed
    """Volume of trades whose taker sold. Trades without a side are in neither."""


class Imbalance(NamedTuple):
    """Which side took in one bucket."""

    bucket: datetime
    """Beginning of the bucket."""
    trades: int
    """How many trades, those without a side too."""
    buy_trades: int
    """How many trades whose taker bought."""
    sell_trades: int
    """How many trades whose taker sold."""
    volume: Computed
    """Sum of the volumes; in the market's volume_unit."""
    buy_volume: Computed
    """Volume of trades whose taker bought."""
    sell_volume: Computed
    """Volume of trades whose taker sold."""
    imbalance: Computed | None
    """(buy_volume - sell_volume) / (buy_volume + sell_volume), from -1 to 1, to at least 24
    decimals. None: no trade of the bucket has a side."""


def vwap(symbol: str, exchange: str, from_time: datetime, to_time: datetime) -> Statement[Vwap]:
    """Average price in [from_time, to_time), weighted by volume: one row.

    Whole minutes are read from the candles, the rest of the range from the trades.
    """
    check_range(from_time, to_time)
    return statement_of(
        __name__,
        "vwap",
        Vwap,
        symbol=symbol,
        exchange=exchange,
        from_time=from_time,
        to_time=to_time,
    )


def twap(
    symbol: str,
    exchange: str,
    from_time: datetime,
    to_time: datetime,
    max_age: timedelta = _DAY,
) -> Statement[Twap]:
    """Average price in [from_time, to_time), weighted by how long each price stood: one row.

    At from_time the last price before it stands, if it is no older than ``max_age``. Every trade of
    the range is read.
    """
    check_range(from_time, to_time)
    check_span("max_age", max_age)
    return statement_of(
        __name__,
        "twap",
        Twap,
        symbol=symbol,
        exchange=exchange,
        from_time=from_time,
        to_time=to_time,
        max_age=max_age,
    )


def volume_profile(
    symbol: str, exchange: str, step: Decimal | int, from_time: datetime, to_time: datetime
) -> Statement[ProfileLevel]:
    """Volume at each step of prices in [from_time, to_time), ordered by price_from.

    ``step`` is in quote units. A step without a trade has no row. Every trade of the range is
    read.
    """
    check_range(from_time, to_time)
    if not isinstance(step, Decimal | int):
        raise ValueError(  # noqa: TRY004 - what is wrong is that it is not exact
            f"step is {step!r}: give a Decimal or an int, which are exact"
        )
    if not Decimal(step).is_finite() or step <= 0:
        raise ValueError(f"step is {step}: give a number above 0")
    return statement_of(
        __name__,
        "volume_profile",
        ProfileLevel,
        symbol=symbol,
        exchange=exchange,
        step=step,
        from_time=from_time,
        to_time=to_time,
    )


def order_flow_imbalance(
    symbol: str, exchange: str, interval: Interval, from_time: datetime, to_time: datetime
) -> Statement[Imbalance]:
    """Which side took, in each bucket that begins in [from_time, to_time), ordered by bucket.

    A bucket without a trade has no row. Every trade of the range is read.
    """
    check_range(from_time, to_time)
    check_interval(interval)
    return statement_of(
        __name__,
        "order_flow_imbalance",
        Imbalance,
        symbol=symbol,
        exchange=exchange,
        interval=interval,
        from_time=from_time,
        to_time=to_time,
    )
