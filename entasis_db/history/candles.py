"""Candles of history: turnover, and those that are computed from shorter ones."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import MAX_PREC, Decimal, localcontext
from typing import NamedTuple

from entasis_db.queries.intervals import LENGTH, STORED_RELATION, Interval
from entasis_db.queries.rows import Candle

_MONDAY = datetime(2000, 1, 3, tzinfo=UTC)
_STORED: dict[str, Interval] = {"ohlcv_1m": "1m", "ohlcv_1h": "1h", "ohlcv_1d": "1d"}

RATES = "SELECT per_volume, per_quote_volume FROM entasis_internal.turnover_rates(%s, %s)"


class Rates(NamedTuple):
    """How turnover follows from a candle; None, both: it is not known."""

    per_volume: Decimal | None
    per_quote_volume: Decimal | None

    def turnover(self, volume: Decimal, quote_volume: Decimal) -> Decimal | None:
        """Return what was traded, in quote units; exact in a context of MAX_PREC digits."""
        if self.per_volume is not None:
            return volume * self.per_volume
        if self.per_quote_volume is not None:
            return quote_volume * self.per_quote_volume
        return None


def stored_interval(interval: Interval) -> Interval:
    """Return the interval of the stored candles that those of an interval come from."""
    return _STORED[STORED_RELATION[interval]]


def bucket(interval: Interval, moment: datetime) -> datetime:
    """Return the beginning of the bucket that a moment in UTC lies in."""
    if interval == "1mo":
        return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return moment - (moment - _MONDAY) % LENGTH[interval]


def end_of(interval: Interval, start: datetime) -> datetime:
    """Return the end of the bucket that begins at a moment."""
    if interval == "1mo":
        return (start + LENGTH[interval]).replace(day=1)
    return start + LENGTH[interval]


def bucket_from(interval: Interval, moment: datetime) -> datetime:
    """Return the beginning of the first bucket that begins at a moment or after it."""
    return end_of(interval, bucket(interval, moment - timedelta.resolution))


def rolled_up(
    interval: Interval,
    candles: Iterable[Candle],
    is_known: Callable[[datetime, datetime], bool],
    rates: Rates,
) -> Iterator[Candle]:
    """Compute candles from shorter ones, which come in their order.

    A bucket that is not known whole has none, as in entasis.candles().
    """
    parts: list[Candle] = []
    for candle in candles:
        if parts and bucket(interval, candle.bucket) != bucket(interval, parts[0].bucket):
            yield from _rolled_up(interval, parts, is_known, rates)
            parts = []
        parts.append(candle)
    if parts:
        yield from _rolled_up(interval, parts, is_known, rates)


def _rolled_up(
    interval: Interval,
    parts: list[Candle],
    is_known: Callable[[datetime, datetime], bool],
    rates: Rates,
) -> Iterator[Candle]:
    first, last = parts[0], parts[-1]
    start = bucket(interval, first.bucket)
    if not is_known(start, end_of(interval, start)):
        return
    with localcontext() as context:
        context.prec = MAX_PREC
        volume = sum((part.volume for part in parts), Decimal(0))
        quote_volume = sum((part.quote_volume for part in parts), Decimal(0))
        yield first._replace(
            bucket=start,
            high=max(part.high for part in parts),
            low=min(part.low for part in parts),
            close=last.close,
            volume=volume,
            quote_volume=quote_volume,
            trades=sum(part.trades for part in parts),
            closed_at=last.closed_at,
            last_trade_id=last.last_trade_id,
            turnover=rates.turnover(volume, quote_volume),
        )
