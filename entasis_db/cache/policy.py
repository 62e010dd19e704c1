"""How long what is cached may live, and in which pieces candles are kept.

Candles are kept in pages: all candles of a market and interval whose buckets begin in one span of
time. Every range that is asked for is put together from pages, so that charts over different ranges
share what they have in common.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from entasis_db.queries import INTERVALS, Interval

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_MONTH = timedelta(days=31)

_STEP: dict[str, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": _DAY,
    "1w": timedelta(days=7),
    "1mo": _MONTH,
}
# about a hundred candles each: what one correction throws away, and what one hit decodes
_SPAN: dict[str, timedelta] = {
    "1m": timedelta(hours=1),
    "5m": timedelta(hours=6),
    "15m": _DAY,
    "30m": 2 * _DAY,
    "1h": 4 * _DAY,
    "4h": 16 * _DAY,
    "1d": 64 * _DAY,
    "1w": 448 * _DAY,
    "1mo": 4096 * _DAY,
}
STORED_LEVEL: dict[str, str] = {
    **dict.fromkeys(("1m", "5m", "15m", "30m"), "1m"),
    **dict.fromkeys(("1h", "4h"), "1h"),
    **dict.fromkeys(("1d", "1w", "1mo"), "1d"),
}
"""The candles that those of an interval are computed from when they are read."""
_ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday


@dataclass(frozen=True)
class Refresh:
    """How long candles of one interval are kept at most."""

    open: timedelta
    """A page that holds a bucket which is not over yet, or not stored."""
    closed: timedelta = _DAY
    """A page whose buckets are all over and stored. A late trade throws it away all the same."""


def _default_refresh() -> Mapping[str, Refresh]:
    return {
        name: Refresh(min(max(step / 60, _SECOND), 60 * _SECOND)) for name, step in _STEP.items()
    }


@dataclass(frozen=True)
class CachePolicy:
    """How long things live in the cache at most, if no notification throws them away before."""

    candles: Mapping[str, Refresh] = field(default_factory=_default_refresh)
    """By interval. Default: an open page for a sixtieth of the interval, from 1 s to 1 min; a
    closed one for a day. Intervals that are missing have their default."""
    latest: timedelta = _SECOND
    """The latest price of one market, and of all."""
    chains: timedelta = 5 * _SECOND
    """Option chains."""

    def __post_init__(self) -> None:
        if unknown := set(self.candles) - set(INTERVALS):
            raise ValueError(f"there are no candles of {sorted(unknown)}: give {INTERVALS}")
        spans = [self.latest, self.chains]
        for refresh in self.candles.values():
            spans += [refresh.open, refresh.closed]
        if min(spans) <= timedelta(0):
            raise ValueError(f"{min(spans)} is no refresh interval: give a span of time above 0")
        object.__setattr__(
            self, "candles", MappingProxyType({**_default_refresh(), **self.candles})
        )

    def candle_life(self, interval: Interval, page: int, until: datetime) -> timedelta:
        """Return how long a page may live, when buckets that are over by then are stored."""
        refresh = self.candles[interval]
        # the last bucket of a page may end beyond it, by no more than a bucket's length
        over = until >= page_start(interval, page + 1) + _STEP[interval]
        return refresh.closed if over else refresh.open


def page_start(interval: Interval, page: int) -> datetime:
    """Return the beginning of a page. Raises OverflowError beyond the years 1 to 9999."""
    return _ORIGIN + page * _SPAN[interval]


def pages(interval: Interval, from_time: datetime, to_time: datetime) -> range:
    """Return the numbers of the pages whose buckets may begin in [from_time, to_time)."""
    span = _SPAN[interval]
    return range((from_time - _ORIGIN) // span, -((_ORIGIN - to_time) // span))


def touched_pages(first: datetime, last: datetime) -> Iterator[tuple[Interval, range]]:
    """Return, by interval, the pages that hold a bucket which a trade of [first, last] lies in."""
    for interval in INTERVALS:
        yield (
            interval,
            pages(interval, _bucket(interval, first), last + timedelta(microseconds=1)),
        )


def _bucket(interval: Interval, moment: datetime) -> datetime:
    if interval == "1mo":
        return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    step = _STEP[interval]
    return _ORIGIN + (moment - _ORIGIN) // step * step
