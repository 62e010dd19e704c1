"""Prices at given moments."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from entasis_db.queries.checks import check_moments, check_span
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
