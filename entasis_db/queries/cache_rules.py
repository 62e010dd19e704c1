"""How answers are cached: in which entries, for how long, and which changes evict them.

A query that may be cached gives its statement a rule from this module, and the rule is all that a
cache needs to know about the query. Every entry has a key: the name of the query, the topic, and
what tells its entries apart. The topic is what a notification can name: a market (symbol,
exchange), an underlying, or () for what every trade may change.

Candles are kept in pages: all candles of one market and interval whose buckets begin in one span of
time. Whatever range is asked for is put together from pages, so that charts of different ranges
share them. Every other answer is one entry.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from entasis_db.queries.intervals import INTERVALS, LENGTH, STORED_RELATION, Interval

if TYPE_CHECKING:
    from entasis_db.cache.policy import CachePolicy
    from entasis_db.queries.statement import Statement

Topic = tuple[str, ...]
Key = tuple[Any, ...]
"""The query's name, the topic, and the rest."""
Rows = tuple[Any, ...]
"""The rows of one entry, in the query's order."""

_MAX_PAGES = 64
"""Pages of one answer; a longer range is not cached."""
_MAX_EVICTED_PAGES = 200
"""Pages that one change evicts by their keys; a wider change evicts the whole market."""


class CacheRule(ABC):
    """How the answer of one statement is cached."""

    __slots__ = ()

    @property
    @abstractmethod
    def topic(self) -> Topic:
        """What a notification names when it changes the answer; all entries have it in common."""

    @abstractmethod
    def keys(self) -> Sequence[Key]:
        """Return the keys of the entries that make up the answer; none if it is not cached."""

    @abstractmethod
    def time_to_live(
        self, key: Key, policy: "CachePolicy", watermarks: Mapping[str, float]
    ) -> timedelta:
        """Return how long an entry may be kept if no notification evicts it before.

        ``watermarks`` are those of before the query: by relation, up to which moment (seconds since
        1970) candles change only with a notification.
        """

    @abstractmethod
    def query(self, statement: "Statement[Any]", missing: Sequence[Key]) -> "Statement[Any]":
        """Return the statement that reads these entries, which are missing of ``statement``."""

    @abstractmethod
    def split(self, missing: Sequence[Key], rows: Sequence[Any]) -> dict[Key, Rows]:
        """Divide what that statement read among the entries."""

    @abstractmethod
    def join(self, entries: Sequence[Rows]) -> list[Any]:
        """Put the answer together from all of its entries, in the order of ``keys``."""


@dataclass(frozen=True, slots=True)
class WholeAnswer(CacheRule):
    """The answer is one entry."""

    key: Key
    lifetime: Literal["latest", "chains"]
    """The field of CachePolicy that says how long it is kept."""

    @property
    def topic(self) -> Topic:
        """Return the key's topic."""
        topic: Topic = self.key[1]
        return topic

    def keys(self) -> Sequence[Key]:
        """Return the one key."""
        return (self.key,)

    def time_to_live(
        self,
        key: Key,  # noqa: ARG002
        policy: "CachePolicy",
        watermarks: Mapping[str, float],  # noqa: ARG002
    ) -> timedelta:
        """Return what the policy says."""
        span: timedelta = getattr(policy, self.lifetime)
        return span

    def query(
        self,
        statement: "Statement[Any]",
        missing: Sequence[Key],  # noqa: ARG002
    ) -> "Statement[Any]":
        """Return the statement itself."""
        return statement

    def split(self, missing: Sequence[Key], rows: Sequence[Any]) -> dict[Key, Rows]:  # noqa: ARG002
        """Return all rows as the one entry."""
        return {self.key: tuple(rows)}

    def join(self, entries: Sequence[Rows]) -> list[Any]:
        """Return the rows of the one entry."""
        return list(entries[0])


def latest_price(symbol: str, exchange: str) -> WholeAnswer:
    """Cache the newest trade of one market."""
    return WholeAnswer(_latest_price_key(symbol, exchange), "latest")


def latest_prices() -> WholeAnswer:
    """Cache the newest trades of all markets."""
    return WholeAnswer(_LATEST_PRICES, "latest")


def option_chain(underlying: str, at: datetime, max_age: timedelta) -> WholeAnswer:
    """Cache the chain of one underlying, as known at one moment."""
    moment = at.astimezone(UTC).isoformat()
    return WholeAnswer(("option_chain", (underlying,), moment, max_age), "chains")


_LATEST_PRICES: Key = ("latest_prices", ())


def _latest_price_key(symbol: str, exchange: str) -> Key:
    return ("latest_price", (symbol, exchange))


# ------------------------------------------------------------------ candles in pages

# about a hundred candles each: what one correction evicts, and what one hit decodes
_PAGE: Mapping[Interval, timedelta] = {
    "1m": timedelta(hours=1),
    "5m": timedelta(hours=6),
    "15m": timedelta(days=1),
    "30m": timedelta(days=2),
    "1h": timedelta(days=4),
    "4h": timedelta(days=16),
    "1d": timedelta(days=64),
    "1w": timedelta(days=448),
    "1mo": timedelta(days=4096),
}
_ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CandlePages(CacheRule):
    """The candles of one market and interval in [from_time, to_time), times in UTC."""

    symbol: str
    exchange: str
    interval: Interval
    from_time: datetime
    to_time: datetime

    @property
    def topic(self) -> Topic:
        """Return the market."""
        return (self.symbol, self.exchange)

    def keys(self) -> Sequence[Key]:
        """Return the pages' keys in their order; none for a long range, or one beyond our era."""
        try:
            pages = pages_between(self.interval, self.from_time, self.to_time)
            page_start(self.interval, pages[0])
            page_start(self.interval, pages[-1] + 1)
        except OverflowError:
            return ()
        if len(pages) > _MAX_PAGES:
            return ()
        return [_page_key(self.symbol, self.exchange, self.interval, page) for page in pages]

    def time_to_live(
        self, key: Key, policy: "CachePolicy", watermarks: Mapping[str, float]
    ) -> timedelta:
        """Return ``closed`` when every bucket of the page is over and stored, else ``open``."""
        now = datetime.now(UTC)
        stored = watermarks.get(STORED_RELATION[self.interval], 0.0)
        # "infinity" where candles are stored as soon as they are written
        until = now if stored >= now.timestamp() else datetime.fromtimestamp(max(stored, 0), UTC)
        return policy.candle_lifetime(self.interval, page_end(self.interval, key[-1]), until)

    def query(self, statement: "Statement[Any]", missing: Sequence[Key]) -> "Statement[Any]":
        """Return the statement over the range from the first missing page to the last."""
        span = {
            "from_time": page_start(self.interval, missing[0][-1]),
            "to_time": page_start(self.interval, missing[-1][-1] + 1),
        }
        return replace(statement, params=MappingProxyType({**statement.params, **span}))

    def split(self, missing: Sequence[Key], rows: Sequence[Any]) -> dict[Key, Rows]:
        """Divide candles among the pages; those of pages that were not missing are left out."""
        parts: dict[int, list[Any]] = {key[-1]: [] for key in missing}
        for row in rows:
            part = parts.get((row.bucket - _ORIGIN) // _PAGE[self.interval])
            if part is not None:
                part.append(row)
        return {key: tuple(parts[key[-1]]) for key in missing}

    def join(self, entries: Sequence[Rows]) -> list[Any]:
        """Return the candles of the range, in their order."""
        first, *rest = entries
        if not rest:
            return [row for row in first if self.from_time <= row.bucket < self.to_time]
        *middle, last = rest
        return [
            *(row for row in first if row.bucket >= self.from_time),
            *(row for page in middle for row in page),
            *(row for row in last if row.bucket < self.to_time),
        ]


def page_start(interval: Interval, page: int) -> datetime:
    """Return when a page begins. Raises OverflowError beyond the years 1 to 9999."""
    return _ORIGIN + page * _PAGE[interval]


def page_end(interval: Interval, page: int) -> datetime:
    """Return by when all buckets that begin in a page are over."""
    # the last one may end beyond the page, by no more than a bucket's length
    return page_start(interval, page + 1) + LENGTH[interval]


def pages_between(interval: Interval, from_time: datetime, to_time: datetime) -> range:
    """Return the pages whose buckets may begin in [from_time, to_time), times in UTC."""
    page = _PAGE[interval]
    return range((from_time - _ORIGIN) // page, -((_ORIGIN - to_time) // page))


def touched_pages(first: datetime, last: datetime) -> Iterator[tuple[Interval, range]]:
    """Return, by interval, the pages with a bucket that a trade of [first, last] may lie in."""
    for interval in INTERVALS:
        yield interval, pages_between(interval, _bucket(interval, first), last + _MICROSECOND)


def _page_key(symbol: str, exchange: str, interval: Interval, page: int) -> Key:
    return ("candles", (symbol, exchange), interval, page)


def _bucket(interval: Interval, moment: datetime) -> datetime:
    if interval == "1mo":
        return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    length = LENGTH[interval]
    return _ORIGIN + (moment - _ORIGIN) // length * length


# ------------------------------------------------------------------ what a change evicts


@dataclass(frozen=True, slots=True)
class Evictions:
    """What a notification evicts from every cache."""

    keys: list[Key] = field(default_factory=list)
    topics: list[Topic] = field(default_factory=list)
    """Every entry of these topics."""
    everything: bool = False


def evicted_by(message: Mapping[str, Any]) -> Evictions:
    """Return what a notification evicts: the message of entasis_internal.notify_caches.

    Raises ValueError, TypeError, OverflowError and others for a message that is not one of ours.
    """
    evicted = Evictions(everything=bool(message.get("everything")))
    markets = message.get("trades", [])
    if markets:
        evicted.keys.append(_LATEST_PRICES)
    for symbol, exchange, first, last in markets:
        evicted.keys.append(_latest_price_key(symbol, exchange))
        touched = list(
            touched_pages(datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC))
        )
        if sum(len(pages) for _, pages in touched) > _MAX_EVICTED_PAGES:
            evicted.topics.append((symbol, exchange))
        else:
            evicted.keys.extend(
                _page_key(symbol, exchange, interval, page)
                for interval, pages in touched
                for page in pages
            )
    evicted.topics.extend((underlying,) for underlying in message.get("options", []))
    return evicted
