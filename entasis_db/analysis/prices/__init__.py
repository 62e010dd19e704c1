"""Prices at given moments, and how they moved from there; two markets beside each other."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from entasis_db.model import Side
from entasis_db.queries.checks import check_interval, check_moments, check_range, check_span
from entasis_db.queries.intervals import Interval
from entasis_db.queries.rows import Computed
from entasis_db.queries.statement import Statement, statement_of

_DAY = timedelta(days=1)


class PriceAsOf(NamedTuple):
    """The price of a market at one moment."""

    number: int
    """Which of the given moments it is, from 1."""
    moment: datetime | None
    """The moment, as it was given."""
    price: Decimal | None
    """Price of the last trade by then; quote units. None: no trade is known in the span before the
    moment, or the moment is None or still to come."""
    traded_at: datetime | None
    """When that trade was made: at the moment or before it. None where price is."""
    trade_id: int | None
    """id of that trade. None where price is."""


class TradeMarkout(NamedTuple):
    """How the price moved after one trade."""

    timestamp: datetime
    """When the trade was made."""
    id: int
    """id of the trade."""
    side: Side | None
    """Side of the taker. None: not known."""
    price: Decimal
    """Price of the trade; quote units."""
    volume: Decimal
    """Size of the trade; in the market's volume_unit."""
    horizon: timedelta
    """How long after the trade."""
    moment: datetime
    """timestamp + horizon."""
    price_then: Decimal | None
    """Price at that moment, as prices_asof tells it; quote units. None: not known, or still to
    come."""
    traded_at: datetime | None
    """When the trade of price_then was made. None where price_then is."""
    move: Computed | None
    """price_then - price; quote units. None where price_then is."""
    markout: Computed | None
    """The move to the side of the taker, who gained where it is above 0; quote units. None where
    move or side is."""
    markout_return: Computed | None
    """markout / price, a fraction to at least 24 decimals. None where markout is, or price is not
    above 0."""


class PredictionMarkout(NamedTuple):
    """How the price moved after one prediction."""

    timestamp: datetime
    """When the prediction was made."""
    id: int
    """Number of the prediction, unique within its symbol."""
    prediction_type: str
    """``price``, ``return``, ``direction`` or the model's own type."""
    predicted_value: Decimal
    """What was predicted; in the unit of its type."""
    confidence: Decimal
    """The model's own certainty, from 0 to 1."""
    price: Decimal | None
    """Price at timestamp, as prices_asof tells it; quote units. None: not known."""
    horizon: timedelta
    """How long after the prediction."""
    moment: datetime
    """timestamp + horizon."""
    price_then: Decimal | None
    """Price at that moment; quote units. None: not known, or still to come."""
    traded_at: datetime | None
    """When the trade of price_then was made. None where price_then is."""
    direction: int | None
    """1: up was predicted, -1: down, 0: neither. None: a type of the model's own, or a price is
    needed that is not known."""
    move: Computed | None
    """price_then - price; quote units. None where one of them is."""
    markout: Computed | None
    """direction * move; quote units. None where one of them is."""
    markout_return: Computed | None
    """markout / price, a fraction to at least 24 decimals. None where markout is, or price is not
    above 0."""


class BasisAsOf(NamedTuple):
    """Two markets at one moment."""

    number: int
    """Which of the given moments it is, from 1."""
    moment: datetime | None
    """The moment, as it was given."""
    price: Decimal | None
    """Price of the first market, as prices_asof tells it; quote units."""
    other_price: Decimal | None
    """Price of the other market, likewise."""
    spread: Computed | None
    """price - other_price; quote units. None where one of them is."""
    basis: Computed | None
    """spread / other_price, a fraction to at least 24 decimals. None where spread is, or
    other_price is not above 0."""
    traded_at: datetime | None
    """When the trade of price was made."""
    other_traded_at: datetime | None
    """When the trade of other_price was made."""


class Basis(NamedTuple):
    """The closes of two markets in one bucket."""

    bucket: datetime
    """Beginning of the bucket."""
    price: Decimal
    """Close of the first market; quote units."""
    other_price: Decimal
    """Close of the other market; quote units."""
    spread: Computed
    """price - other_price; quote units."""
    basis: Computed | None
    """spread / other_price, a fraction to at least 24 decimals. None where other_price is not above
    0."""
    traded_at: datetime
    """When the trade of price was made."""
    other_traded_at: datetime
    """When the trade of other_price was made."""


def prices_asof(
    symbol: str,
    exchange: str,
    moments: Sequence[datetime | None],
    max_age: timedelta = _DAY,
) -> Statement[PriceAsOf]:
    """Price of a market at each of many moments, in the order in which they were given.

    One row a moment, however often it was given: the last trade by (timestamp, id) that was made in
    (moment - max_age, moment], of those that candles count. It takes some index look-ups for each.
    """
    check_span("max_age", max_age)
    return statement_of(
        __name__,
        "prices_asof",
        PriceAsOf,
        symbol=symbol,
        exchange=exchange,
        moments=check_moments("moments", moments),
        max_age=max_age,
    )


def trade_markouts(
    symbol: str,
    exchange: str,
    horizons: Sequence[timedelta],
    from_time: datetime,
    to_time: datetime,
    max_age: timedelta = _DAY,
) -> Statement[TradeMarkout]:
    """Price moves after each trade in [from_time, to_time), ordered by (timestamp, id), horizon.

    A row for each trade that candles count and each of ``horizons``. The price then is the last one
    by timestamp + horizon that is no older than ``max_age``: that of the trade itself, without a
    later one.
    """
    check_range(from_time, to_time)
    check_span("max_age", max_age)
    return statement_of(
        __name__,
        "trade_markouts",
        TradeMarkout,
        symbol=symbol,
        exchange=exchange,
        horizons=_horizons(horizons),
        from_time=from_time,
        to_time=to_time,
        max_age=max_age,
    )


def prediction_markouts(
    model_id: str,
    symbol: str,
    exchange: str,
    horizons: Sequence[timedelta],
    from_time: datetime,
    to_time: datetime,
    max_age: timedelta = _DAY,
) -> Statement[PredictionMarkout]:
    """Price moves after each prediction made in [from_time, to_time).

    A row for each prediction of the model and each of ``horizons``, ordered by (timestamp, id),
    horizon. A price is the last one by then that is no older than ``max_age``.
    """
    check_range(from_time, to_time)
    check_span("max_age", max_age)
    return statement_of(
        __name__,
        "prediction_markouts",
        PredictionMarkout,
        model_id=model_id,
        symbol=symbol,
        exchange=exchange,
        horizons=_horizons(horizons),
        from_time=from_time,
        to_time=to_time,
        max_age=max_age,
    )


def basis_asof(
    symbol: str,
    exchange: str,
    other_symbol: str,
    other_exchange: str,
    moments: Sequence[datetime | None],
    max_age: timedelta = _DAY,
) -> Statement[BasisAsOf]:
    """Spread and basis between two markets at each of many moments, in their order.

    A perpetual first and its spot market as the other, say. Prices are those of prices_asof.
    """
    check_span("max_age", max_age)
    return statement_of(
        __name__,
        "basis_asof",
        BasisAsOf,
        symbol=symbol,
        exchange=exchange,
        other_symbol=other_symbol,
        other_exchange=other_exchange,
        moments=check_moments("moments", moments),
        max_age=max_age,
    )


def basis(
    symbol: str,
    exchange: str,
    other_symbol: str,
    other_exchange: str,
    interval: Interval,
    from_time: datetime,
    to_time: datetime,
) -> Statement[Basis]:
    """Spread and basis between the closes of two markets, ordered by bucket.

    Of the buckets that begin in [from_time, to_time) and in which both have trades. The two trades
    may lie nearly a bucket apart: see basis_asof for both prices at one moment.
    """
    check_range(from_time, to_time)
    check_interval(interval)
    return statement_of(
        __name__,
        "basis",
        Basis,
        symbol=symbol,
        exchange=exchange,
        other_symbol=other_symbol,
        other_exchange=other_exchange,
        interval=interval,
        from_time=from_time,
        to_time=to_time,
    )


def _horizons(horizons: Sequence[timedelta]) -> list[timedelta]:
    for horizon in horizons:
        if horizon < timedelta(0):
            raise ValueError(f"horizons has {horizon}: give spans of time of 0 or more")
    return list(horizons)
