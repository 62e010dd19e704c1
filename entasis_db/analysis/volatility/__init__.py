"""Returns, realised volatility, correlation and drawdown, from candles."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from entasis_db.queries.checks import check_interval, check_range
from entasis_db.queries.intervals import Interval
from entasis_db.queries.rows import Computed
from entasis_db.queries.statement import Row, Statement, statement_of


class Return(NamedTuple):
    """What a market did from one candle to the next."""

    bucket: datetime
    """Beginning of the later candle."""
    close: Decimal
    """Its close; quote units."""
    previous_close: Decimal | None
    """Close of the candle before it, over any gap; quote units. None: it is the first of the
    range."""
    simple_return: Computed | None
    """close / previous_close - 1, a fraction to at least 24 decimals. None where previous_close is,
    or is not above 0."""
    log_return: Computed | None
    """ln(close / previous_close), to 24 decimals. None where there is no previous_close, or a price
    is not above 0."""


class RealizedVolatility(NamedTuple):
    """Four estimates of a market's volatility in a range."""

    candles: int
    """How many candles went in."""
    returns: int
    """How many of them have one before."""
    periods_per_year: Computed
    """What variances of one interval were multiplied with."""
    close_to_close: Computed | None
    """From the sample variance of log returns; a fraction a year, to 20 decimals. None, as all of
    them: too few candles, or a price not above 0."""
    parkinson: Computed | None
    """From ranges of high and low (Parkinson 1980)."""
    garman_klass: Computed | None
    """From open, high, low and close (Garman and Klass 1980)."""
    yang_zhang: Computed | None
    """The same with the jumps between candles (Yang and Zhang 2000)."""


class ReturnCorrelation(NamedTuple):
    """How the returns of a market go with those of another."""

    returns: int
    """How many pairs of returns went in."""
    correlation: Computed | None
    """Pearson's, from -1 to 1, to 20 decimals. None: too few, or the returns of one do not differ,
    or a price is not above 0."""
    beta: Computed | None
    """Covariance / variance of the other market's returns, to 20 decimals. None as correlation, but
    for returns of the first market that do not differ."""


class PriceDrawdown(NamedTuple):
    """How far a market is below its highest close of the range so far."""

    bucket: datetime
    """Beginning of the candle."""
    close: Decimal
    """Its close; quote units."""
    peak: Decimal
    """The highest close so far; quote units."""
    peak_at: datetime
    """The bucket in which it was first reached."""
    drawdown: Computed | None
    """close / peak - 1, a fraction to at least 24 decimals, 0 or below. None where peak is not
    above 0."""


def returns(
    symbol: str, exchange: str, interval: Interval, from_time: datetime, to_time: datetime
) -> Statement[Return]:
    """Return of each candle whose bucket begins in [from_time, to_time), ordered by bucket.

    From the close of the candle before it, over any gap; the first one has none.
    """
    return _of_candles("returns", Return, symbol, exchange, interval, from_time, to_time)


def realized_volatility(
    symbol: str,
    exchange: str,
    interval: Interval,
    from_time: datetime,
    to_time: datetime,
    periods_per_year: Decimal | int | None = None,
) -> Statement[RealizedVolatility]:
    """Realised volatility over the candles whose buckets begin in [from_time, to_time): one row.

    ``periods_per_year`` is by default how many intervals 365 days have, 12 for months; with 1, the
    estimates are those of one interval.
    """
    if periods_per_year is not None:
        if not isinstance(periods_per_year, Decimal | int):
            raise ValueError(f"periods_per_year is {periods_per_year!r}: give a Decimal or an int")
        if not Decimal(periods_per_year).is_finite() or periods_per_year <= 0:
            raise ValueError(f"periods_per_year is {periods_per_year}: give a number above 0")
    check_range(from_time, to_time)
    check_interval(interval)
    return statement_of(
        __name__,
        "realized_volatility",
        RealizedVolatility,
        symbol=symbol,
        exchange=exchange,
        interval=interval,
        from_time=from_time,
        to_time=to_time,
        periods_per_year=periods_per_year,
    )


def return_correlation(
    symbol: str,
    exchange: str,
    other_symbol: str,
    other_exchange: str,
    interval: Interval,
    from_time: datetime,
    to_time: datetime,
) -> Statement[ReturnCorrelation]:
    """Correlation and beta of a market's log returns to another's in [from_time, to_time): one row.

    Returns are those between consecutive buckets in which both markets have trades.
    """
    check_range(from_time, to_time)
    check_interval(interval)
    return statement_of(
        __name__,
        "return_correlation",
        ReturnCorrelation,
        symbol=symbol,
        exchange=exchange,
        other_symbol=other_symbol,
        other_exchange=other_exchange,
        interval=interval,
        from_time=from_time,
        to_time=to_time,
    )


def drawdown(
    symbol: str, exchange: str, interval: Interval, from_time: datetime, to_time: datetime
) -> Statement[PriceDrawdown]:
    """Drawdown of each candle whose bucket begins in [from_time, to_time), ordered by bucket.

    The maximum drawdown of the range is the smallest of them.
    """
    return _of_candles("drawdown", PriceDrawdown, symbol, exchange, interval, from_time, to_time)


def _of_candles(
    name: str,
    row: type[Row],
    symbol: str,
    exchange: str,
    interval: Interval,
    from_time: datetime,
    to_time: datetime,
) -> Statement[Row]:
    check_range(from_time, to_time)
    check_interval(interval)
    return statement_of(
        __name__,
        name,
        row,
        symbol=symbol,
        exchange=exchange,
        interval=interval,
        from_time=from_time,
        to_time=to_time,
    )
