"""For how long entries are kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType

from entasis_db.queries.intervals import INTERVALS, LENGTH, Interval

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Refresh:
    """How long a page of candles of one interval is kept at most."""

    open: timedelta
    """A page with a bucket that is not over yet, or not stored."""
    closed: timedelta = _DAY
    """A page whose buckets are all over and stored. A late trade evicts it all the same."""


def _default_refresh() -> Mapping[str, Refresh]:
    return {
        name: Refresh(min(max(length / 60, _SECOND), 60 * _SECOND))
        for name, length in LENGTH.items()
    }


@dataclass(frozen=True)
class CachePolicy:
    """How long entries are kept at most, if no notification evicts them before."""

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
        shortest = min(self._lifetimes())
        if shortest <= timedelta(0):
            raise ValueError(f"{shortest} is no lifetime: give a span of time above 0")
        object.__setattr__(
            self, "candles", MappingProxyType({**_default_refresh(), **self.candles})
        )

    def candle_lifetime(self, interval: Interval, over_at: datetime, until: datetime) -> timedelta:
        """Return how long a page whose buckets are over at a moment is kept.

        ``until`` is the moment up to which candles are over and stored.
        """
        refresh = self.candles[interval]
        return refresh.closed if until >= over_at else refresh.open

    @cached_property
    def longest(self) -> float:
        """The longest of all lifetimes, in seconds."""
        return max(self._lifetimes()).total_seconds()

    def _lifetimes(self) -> list[timedelta]:
        spans = [self.latest, self.chains]
        for refresh in self.candles.values():
            spans += [refresh.open, refresh.closed]
        return spans
