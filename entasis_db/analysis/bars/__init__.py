"""Candles of any width and of sessions, and bars of trades."""

import re
from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from entasis_db.errors import QueryError
from entasis_db.queries.checks import check_range
from entasis_db.queries.rows import Computed
from entasis_db.queries.statement import Statement, statement_of

_WIDTH = re.compile(r"([1-9]\d{0,5})(m|h|d|w|mo)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks", "mo": "months"}


class WideCandle(NamedTuple):
    """What the trades of one market in [bucket, ends_at) came to."""

    symbol: str
    """Instrument, in the exchange's spelling."""
    exchange: str
    """Venue."""
    bucket: datetime
    """Beginning of the bucket."""
    ends_at: datetime
    """End of the bucket, not included."""
    open: Decimal
    """Price of the trade with the smallest (timestamp, id); quote units."""
    high: Decimal
    """Highest price; quote units."""
    low: Decimal
    """Lowest price; quote units."""
    close: Decimal
    """Price of the trade with the largest (timestamp, id); quote units."""
    volume: Computed
    """Sum of the volumes; in the market's volume_unit."""
    quote_volume: Computed
    """Sum of price * volume, in the market's own units: quote units where its volume_unit is
    base."""
    trades: int
    """How many trades."""
    opened_at: datetime
    """When the opening trade was made."""
    first_trade_id: int
    """id of the opening trade."""
    closed_at: datetime
    """When the closing trade was made."""
    last_trade_id: int
    """id of the closing trade."""
    turnover: Computed | None
    """What was traded, in quote units, exact. None: entasis.markets does not know the kind or the
    size of the market's contracts."""
    vwap: Computed
    """quote_volume / volume, quote units, rounded by the server to at least 16 significant
    digits."""


class SessionCandle(NamedTuple):
    """What the trades of one market in a session, or in a part of it, came to."""

    session_opens_at: datetime
    """When the session opens."""
    symbol: str
    """Instrument, in the exchange's spelling."""
    exchange: str
    """Venue."""
    bucket: datetime
    """Beginning of the session, or of the part."""
    ends_at: datetime
    """Its end, not included."""
    open: Decimal
    """Price of the trade with the smallest (timestamp, id); quote units."""
    high: Decimal
    """Highest price; quote units."""
    low: Decimal
    """Lowest price; quote units."""
    close: Decimal
    """Price of the trade with the largest (timestamp, id); quote units."""
    volume: Computed
    """Sum of the volumes; in the market's volume_unit."""
    quote_volume: Computed
    """Sum of price * volume, in the market's own units."""
    trades: int
    """How many trades."""
    opened_at: datetime
    """When the opening trade was made."""
    first_trade_id: int
    """id of the opening trade."""
    closed_at: datetime
    """When the closing trade was made."""
    last_trade_id: int
    """id of the closing trade."""
    turnover: Computed | None
    """As in WideCandle."""
    vwap: Computed
    """As in WideCandle."""


class Bar(NamedTuple):
    """Consecutive trades of one market that together reach a size."""

    number: int
    """Which bar of the range it is, from 1."""
    symbol: str
    """Instrument, in the exchange's spelling."""
    exchange: str
    """Venue."""
    opened_at: datetime
    """When the first trade was made."""
    first_trade_id: int
    """id of the first trade, in the order of (timestamp, id)."""
    closed_at: datetime
    """When the last trade was made."""
    last_trade_id: int
    """id of the last trade."""
    open: Decimal
    """Price of the first trade; quote units."""
    high: Decimal
    """Highest price; quote units."""
    low: Decimal
    """Lowest price; quote units."""
    close: Decimal
    """Price of the last trade; quote units."""
    volume: Computed
    """Sum of the volumes; in the market's volume_unit."""
    quote_volume: Computed
    """Sum of price * volume, in the market's own units."""
    trades: int
    """How many trades."""
    is_complete: bool
    """Whether it has reached the size; only the last bar may not have."""


def candles_of_width(
    symbol: str,
    exchange: str,
    width: str,
    from_time: datetime,
    to_time: datetime,
    origin: datetime | None = None,
    zone: str = "UTC",
) -> Statement[WideCandle]:
    """Candles of any width whose buckets begin in [from_time, to_time), ordered by bucket.

    ``width`` is a number with m, h, d, w or mo: ``7m``, ``4h``, ``3d``. One of minutes or hours is
    exactly as long, counted from ``origin``; one of days, weeks or months follows the clock of
    ``zone``, where a day may have 23 or 25 hours. ``origin`` is a whole minute on that clock,
    without a zone of its own: by default a Monday's midnight, for months that of a first.
    A bucket without a trade has no row. They are made of the stored minutes.
    """
    check_range(from_time, to_time)
    if origin is not None and origin.tzinfo is not None:
        raise ValueError(
            f"origin is {origin.isoformat()}: give it without a zone, as the clock of zone shows it"
        )
    return statement_of(
        __name__,
        "candles_of_width",
        WideCandle,
        symbol=symbol,
        exchange=exchange,
        width=_width("width", width),
        from_time=from_time,
        to_time=to_time,
        origin=None if origin is None else origin.isoformat(),
        zone=_zone(zone),
    )


def session_candles(
    symbol: str,
    exchange: str,
    opens: time,
    closes: time,
    from_time: datetime,
    to_time: datetime,
    zone: str = "UTC",
    weekdays: Sequence[int] = (1, 2, 3, 4, 5),
    width: str | None = None,
) -> Statement[SessionCandle]:
    """Candles of the sessions that open in [from_time, to_time), ordered by bucket.

    A session lasts from ``opens`` to ``closes`` on the clock of ``zone``, to the next day where
    ``closes`` is not after ``opens``: 09:30 to 16:00 are New York's regular hours, 16:00 to 09:30
    the extended ones around them. ``weekdays``, from 1, Monday, to 7, are those on which it opens.
    Without ``width``, a session is one candle; with one (``30m``, ``1h``), candles are counted from
    its opening, and the last one ends with it.
    """
    check_range(from_time, to_time)
    for name, at in (("opens", opens), ("closes", closes)):
        if at.tzinfo is not None or at.second or at.microsecond:
            raise ValueError(f"{name} is {at.isoformat()}: give a whole minute without a zone")
    if wrong := [day for day in weekdays if day not in range(1, 8)]:
        raise ValueError(f"weekdays has {wrong[0]}: give numbers from 1, Monday, to 7, Sunday")
    if width is not None and not width.endswith(("m", "h")):
        raise QueryError(f"there are no candles of {width!r} in a session: give minutes or hours")
    return statement_of(
        __name__,
        "session_candles",
        SessionCandle,
        symbol=symbol,
        exchange=exchange,
        opens=opens.isoformat(),
        closes=closes.isoformat(),
        from_time=from_time,
        to_time=to_time,
        zone=_zone(zone),
        weekdays=list(weekdays),
        width=None if width is None else _width("width", width),
    )


def tick_bars(
    symbol: str, exchange: str, size: int, from_time: datetime, to_time: datetime
) -> Statement[Bar]:
    """Bars of ``size`` trades each in [from_time, to_time), ordered by number.

    Trades are counted in the order of (timestamp, id); the last bar may have fewer.
    """
    return _bars("tick_bars", symbol, exchange, size, from_time, to_time)


def volume_bars(
    symbol: str, exchange: str, size: Decimal | int, from_time: datetime, to_time: datetime
) -> Statement[Bar]:
    """Bars of trades whose volumes reach ``size``, in [from_time, to_time), ordered by number.

    ``size`` is in the market's volume_unit. A bar ends with the trade that reaches it, and the next
    begins anew: no trade is divided. The last bar may not have reached it. Trades are gone through
    one by one by the server.
    """
    return _bars("volume_bars", symbol, exchange, size, from_time, to_time)


def quote_volume_bars(
    symbol: str, exchange: str, size: Decimal | int, from_time: datetime, to_time: datetime
) -> Statement[Bar]:
    """Bars of trades whose price * volume reaches ``size``, ordered by number.

    As volume_bars; of prices below 0 the absolute value counts.
    """
    return _bars("quote_volume_bars", symbol, exchange, size, from_time, to_time)


def _bars(
    name: str,
    symbol: str,
    exchange: str,
    size: Decimal | int,
    from_time: datetime,
    to_time: datetime,
) -> Statement[Bar]:
    check_range(from_time, to_time)
    if not isinstance(size, Decimal | int):
        raise ValueError(  # noqa: TRY004 - what is wrong is that it is not exact
            f"size is {size!r}: give a Decimal or an int, which are exact"
        )
    if not Decimal(size).is_finite() or size <= 0:
        raise ValueError(f"size is {size}: give a number above 0")
    return statement_of(
        __name__,
        name,
        Bar,
        symbol=symbol,
        exchange=exchange,
        size=size,
        from_time=from_time,
        to_time=to_time,
    )


def _width(name: str, width: str) -> str:
    """Return a width as PostgreSQL writes it; QueryError for what is none."""
    if (found := _WIDTH.fullmatch(width)) is None:
        raise QueryError(
            f"{name} is {width!r}: give a whole number with m, h, d, w or mo, such as 7m or 1d"
        )
    return f"{found[1]} {_UNITS[found[2]]}"


def _zone(zone: str) -> str:
    """Return a zone's name; QueryError if there is none of that name."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise QueryError(
            f"there is no time zone {zone!r}: give a name such as America/New_York"
        ) from None
    return zone
