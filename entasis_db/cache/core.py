"""How a read goes through the layers, without saying how bytes travel.

A read is a generator: it yields what is to be done (ask Redis, run a query, wait) and is sent what
came of it. So the synchronous and the asynchronous cache are the same but for who does it.
"""

import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar

from redis.exceptions import RedisError

from entasis_db import queries
from entasis_db.cache.codec import decode, encode
from entasis_db.cache.local import Flight, Key, Local, Rows
from entasis_db.cache.policy import STORED_LEVEL, CachePolicy, page_start, pages, touched_pages
from entasis_db.cache.shared import Names, Read, Store
from entasis_db.queries import Candle, Statement

_log = logging.getLogger("entasis_db.cache")

_MOST_PAGES = 64  # of one read; a longer range goes to the database
_MOST_KEYS = 200  # of one invalidation; a wider one takes the whole market
_POLL = 0.01  # s between two looks at a key that another process is fetching
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # s without Redis after it failed

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Query:
    """Run a statement; answer its rows."""

    statement: Statement[Any]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Join:
    """Wait for what another caller of this process fetches, at most so long; answer it or None."""

    flight: Flight
    seconds: float


Step = Query | Sleep | Join | Read | Store
Steps = Generator[Step, Any, list[Any]]


@dataclass(frozen=True, slots=True)
class CacheMetrics:
    """What a cache has done so far."""

    local_hits: int
    """Reads that were answered from this process's memory alone."""
    shared_hits: int
    """Reads that took something from Redis and ran no query."""
    queries: int
    """Queries that were run, for what was missing and for what is not cached."""
    invalidations: int
    """Notifications that were handled."""
    shared_failures: int
    """Times that Redis failed: was down, slow or full."""
    listening: bool
    """Whether notifications arrive. If not, every read goes to the database."""
    entries: int
    """Entries in this process's memory."""


@dataclass
class Counts:
    """The changing part of CacheMetrics; lost updates of one in a million do no harm."""

    local_hits: int = 0
    shared_hits: int = 0
    queries: int = 0
    invalidations: int = 0
    shared_failures: int = 0


class Breaker:
    """Keeps away from Redis for a while after it failed, and says so once."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._lock = threading.Lock()
        self._closed_until = 0.0
        self._pause = 0.0

    def admits(self) -> bool:
        """Say whether Redis may be asked."""
        return not self._pause or monotonic() >= self._closed_until

    def failed(self, error: BaseException) -> None:
        """Note a failure."""
        with self._lock:
            self._counts.shared_failures += 1
            first = not self._pause
            if first or monotonic() >= self._closed_until:
                self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
                self._closed_until = monotonic() + self._pause
        if first:
            said = " ".join(str(error).split()) or type(error).__name__
            _log.warning("Redis does not answer, the database is asked instead: %s", said)

    def succeeded(self) -> None:
        """Note a success."""
        if self._pause:
            with self._lock:
                self._pause = 0.0
            _log.warning("Redis answers again")


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a statement is answered from pieces."""

    topic: tuple[str, ...]
    keys: Sequence[Key]
    kind: type
    life: Callable[[Key, datetime], timedelta]
    fetch: Callable[[Sequence[Key]], Statement[Any]]
    split: Callable[[Sequence[Key], Sequence[Any]], Mapping[Key, Rows]]
    join: Callable[[Mapping[Key, Rows]], list[Any]]


@dataclass
class Core:
    """The layers of one cache."""

    policy: CachePolicy
    local: Local
    names: Names | None
    """None: there is no Redis, or its namespace is not known yet."""
    max_wait: float
    """Seconds that a read waits for another one's fetch, before it runs its own query."""
    max_silence: float
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.counts)
        self.heard_at = float("-inf")
        """When the server last proved to have told us everything: monotonic seconds."""
        self.stored_until: Mapping[str, float] = {}
        """By stored level: candles that are over by then change only with a notification."""
        self.missed = True
        """Redis may hold what an invalidation should have deleted: it is not to be believed."""

    # -------------------------------------------------------------- reading

    def trusted(self) -> bool:
        """Say whether every correction older than max_silence has been heard of."""
        return monotonic() - self.heard_at <= self.max_silence

    def at_hand(self, statement: Statement[Any]) -> list[Any] | None:
        """Answer at once what is in memory as a whole: the same as ``read``, with less ado."""
        if self.trusted() and (found := self._key(statement)) is not None:
            rows = self.local.get(found[1])
            if rows is not None:
                self.counts.local_hits += 1
                return list(rows)
        return None

    def read(self, statement: Statement[Any]) -> Steps:
        """Answer a statement's rows, from the nearest layer that has them."""
        plan = self._plan(statement) if self.trusted() else None
        if plan is None:
            self.counts.queries += 1
            rows: list[Any] = yield Query(statement)
            return rows
        found, flying, mine = self.local.claim(plan.keys)
        if not flying and not mine:
            self.counts.local_hits += 1
            return plan.join(found)
        if mine:
            found.update((yield from self._fetch(plan, mine)))
        for key, flight in flying.items():
            flown: Rows | None = yield Join(flight, self.max_wait)
            if flown is None:
                self.counts.queries += 1
                flown = plan.split([key], (yield Query(plan.fetch([key]))))[key]
            found[key] = flown
        return plan.join(found)

    def _fetch(
        self, plan: _Plan, flights: Mapping[Key, Flight]
    ) -> Generator[Step, Any, Mapping[Key, Rows]]:
        """Get what this process lacks, and end the flights whatever happens."""
        rows: dict[Key, Rows] = {}
        lives: dict[Key, float] = {}
        try:
            leases: dict[Key, tuple[Read, bytes]] = {}
            if self.names is not None and not self.missed:
                yield from self._ask_shared(self.names, plan, list(flights), rows, lives, leases)
            missing = [key for key in flights if key not in rows]
            if not missing:
                self.counts.shared_hits += 1
                return rows
            self.counts.queries += 1
            try:
                fetched = yield Query(plan.fetch(missing))
            except Exception:
                if leases:
                    yield from self._store(plan, leases, {}, {})
                raise
            now = datetime.now(UTC)
            for key, part in plan.split(missing, fetched).items():
                rows[key] = part
                lives[key] = plan.life(key, now).total_seconds()
            if leases:
                yield from self._store(plan, leases, rows, lives)
            return rows
        finally:
            self.local.land(flights, rows, lives)

    def _ask_shared(
        self,
        names: Names,
        plan: _Plan,
        wanted: Sequence[Key],
        rows: dict[Key, Rows],
        lives: dict[Key, float],
        leases: dict[Key, tuple[Read, bytes]],
    ) -> Generator[Step, Any, None]:
        """Take from Redis what it has; wait, not long, for what other processes are fetching."""
        deadline = monotonic() + self.max_wait
        while wanted:
            read = Read.of(names.topic(plan.topic), [names.value(key) for key in wanted])
            answer = yield read
            if answer is None:
                return
            stamp, *said = answer
            waiting = []
            for key, found in zip(wanted, said, strict=True):
                match found[:1]:
                    case b"V":
                        until, _, data = found[1:].partition(b" ")
                        rows[key] = decode(data, plan.kind)
                        lives[key] = max(0.0, float(until) - datetime.now(UTC).timestamp())
                    case b"L":
                        leases[key] = (read, stamp)
                    case b"W":
                        waiting.append(key)
            wanted = waiting
            # who has something to fetch anyway does not wait: two who did could wait for each other
            if not wanted or leases or monotonic() >= deadline:
                return
            yield Sleep(_POLL)

    def _store(
        self,
        plan: _Plan,
        leases: Mapping[Key, tuple[Read, bytes]],
        rows: Mapping[Key, Rows],
        lives: Mapping[Key, float],
    ) -> Generator[Step, Any, None]:
        assert self.names is not None
        now = datetime.now(UTC).timestamp()
        (read, stamp), *_ = leases.values()
        values: dict[str, tuple[int, bytes] | None] = {}
        for key in leases:
            name = self.names.value(key)
            values[name] = None
            if key in rows:
                until = f"{now + lives[key]:.3f} ".encode()
                life = max(1, int(lives[key] * 1000))
                values[name] = (life, until + encode(rows[key], plan.kind))
        yield Store(read, stamp, values)

    # -------------------------------------------------------------- what is cached, and how

    def _plan(self, statement: Statement[Any]) -> _Plan | None:
        """Say how a statement is cached; None when it is not."""
        if statement.name == "candles":
            return self._candle_plan(statement.params)
        whole = self._key(statement)
        if whole is None:
            return None
        topic, key, life = whole
        return _Plan(
            topic=topic,
            keys=[key],
            kind=statement.row,
            life=lambda _, __: life,
            fetch=lambda _: statement,
            split=lambda _, rows: {key: tuple(rows)},
            join=lambda found: list(found[key]),
        )

    def _key(self, statement: Statement[Any]) -> tuple[tuple[str, ...], Key, timedelta] | None:
        """Return the topic, the key and the life of what is kept as a whole."""
        name = statement.name
        given: Mapping[str, Any] = statement.params
        if name == "latest_price":
            market = given["symbol"], given["exchange"]
            return market, ("latest", *market), self.policy.latest
        if name == "latest_prices":
            return (), ("latest",), self.policy.latest
        if name == "option_chain":
            underlying, at, age = given["underlying"], given["at"], given["max_age"]
            key = ("chain", underlying, at.astimezone(UTC).isoformat(), age)
            return (underlying,), key, self.policy.chains
        return None

    def _candle_plan(self, given: Mapping[str, Any]) -> _Plan | None:
        symbol, exchange, interval = given["symbol"], given["exchange"], given["interval"]
        try:
            from_time, to_time = (given[k].astimezone(UTC) for k in ("from_time", "to_time"))
            numbers = pages(interval, from_time, to_time)
            page_start(interval, numbers[0]), page_start(interval, numbers[-1] + 1)
        except OverflowError:
            return None  # it begins or ends with the calendar
        if len(numbers) > _MOST_PAGES:
            return None
        keys: list[Key] = [("candles", symbol, exchange, interval, n) for n in numbers]
        # of before the query, which may read candles that are stored only after it
        stored = self.stored_until[f"ohlcv_{STORED_LEVEL[interval]}"]

        def life(key: Key, now: datetime) -> timedelta:
            until = (
                now if stored >= now.timestamp() else datetime.fromtimestamp(max(stored, 0), UTC)
            )
            return self.policy.candle_life(interval, key[-1], until)

        def fetch(missing: Sequence[Key]) -> Statement[Candle]:
            first, last = missing[0][-1], missing[-1][-1]
            return queries.candles(
                symbol,
                exchange,
                interval,
                page_start(interval, first),
                page_start(interval, last + 1),
            )

        def split(missing: Sequence[Key], rows: Sequence[Candle]) -> Mapping[Key, Rows]:
            parts: dict[int, list[Candle]] = {key[-1]: [] for key in missing}
            for row in rows:
                # a query over two missing pages also reads those between them
                (number,) = pages(interval, row.bucket, row.bucket + timedelta(microseconds=1))
                if number in parts:
                    parts[number].append(row)
            return {key: tuple(parts[key[-1]]) for key in missing}

        def join(found: Mapping[Key, Rows]) -> list[Candle]:
            if len(keys) == 1:
                return [row for row in found[keys[0]] if from_time <= row.bucket < to_time]
            whole = [row for key in keys[1:-1] for row in found[key]]
            return [
                *(row for row in found[keys[0]] if row.bucket >= from_time),
                *whole,
                *(row for row in found[keys[-1]] if row.bucket < to_time),
            ]

        return _Plan(
            topic=(symbol, exchange),
            keys=keys,
            kind=Candle,
            life=life,
            fetch=fetch,
            split=split,
            join=join,
        )

    # -------------------------------------------------------------- invalidation

    def invalidate(self, message: Mapping[str, Any], delete: Callable[[list[str]], None]) -> None:
        """Throw away what a notification concerns: in Redis first, then here.

        The other way round, somebody could fetch the old value from Redis after it was thrown away
        here. ``delete`` deletes keys in Redis and raises RedisError when it could not.
        """
        self.counts.invalidations += 1
        keys: list[Key] = []
        topics: list[tuple[str, ...]] = []
        markets = message.get("trades", [])
        if markets:
            keys.append(("latest",))
        for symbol, exchange, first, last in markets:
            keys.append(("latest", symbol, exchange))
            touched = [
                (interval, numbers)
                for interval, numbers in touched_pages(
                    datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
                )
            ]
            if sum(len(numbers) for _, numbers in touched) > _MOST_KEYS:
                topics.append((symbol, exchange))
            else:
                keys += [
                    ("candles", symbol, exchange, interval, number)
                    for interval, numbers in touched
                    for number in numbers
                ]
        topics += [(underlying,) for underlying in message.get("options", [])]
        everything = bool(message.get("everything"))
        if self.names is not None:
            doomed = [self.names.everything] if everything else []
            doomed += [self.names.topic(topic) for topic in topics]
            doomed += [self.names.value(key) for key in keys]
            self.forget_shared(doomed, delete)
        if everything:
            self.local.forget()
            return
        self.local.forget_keys(keys)
        if topics:
            lost = set(topics)
            self.local.forget(lambda key: tuple(key[1:3]) in lost or tuple(key[1:2]) in lost)

    def forget_shared(self, names: list[str], delete: Callable[[list[str]], None]) -> None:
        """Delete keys in Redis, or remember that Redis may not be believed until it is emptied."""
        if self.missed or not names:
            return
        if not self.breaker.admits():
            self.missed = True
            return
        try:
            delete(names)
        except (RedisError, OSError) as error:
            self.missed = True
            self.breaker.failed(error)

    def metrics(self) -> CacheMetrics:
        """Return the counts."""
        counts = self.counts
        return CacheMetrics(
            counts.local_hits,
            counts.shared_hits,
            counts.queries,
            counts.invalidations,
            counts.shared_failures,
            self.trusted(),
            len(self.local),
        )
