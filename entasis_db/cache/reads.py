"""How a read goes through memory, Redis and the database, without doing any I/O itself.

A read is a generator: it yields what is to be done (ask Redis, run a query, wait) and is sent what
came of it. Cache and AsyncCache differ only in how they do that.
"""

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from entasis_db.cache.codec import decode, encode
from entasis_db.cache.memory import Fetch, Memory
from entasis_db.cache.metrics import Counters
from entasis_db.cache.policy import CachePolicy
from entasis_db.cache.redis_store import RedisStore
from entasis_db.cache.steps import Answer, Discard, Join, Lookup, Query, Sleep, Step, Store
from entasis_db.cache.trust import Trust
from entasis_db.queries.cache_rules import CacheRule, Key, Rows
from entasis_db.queries.statement import Statement

_log = logging.getLogger("entasis_db.cache")
_POLL = 0.01  # s between two looks at a key that another process is fetching
# what a value that is none of ours makes decode raise, or the number before it
_UNREADABLE = (ValueError, TypeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class ReadThrough:
    """Reads of one cache: each from the nearest layer that has the rows and may be believed."""

    policy: CachePolicy
    memory: Memory
    store: RedisStore | None
    """None: there is no Redis."""
    trust: Trust
    counters: Counters
    max_wait: float
    """Seconds that a read waits for another one's fetch, before it runs its own query."""

    def from_memory(self, statement: Statement[Any]) -> list[Any] | None:
        """Return the rows if they are one entry in memory: what ``read`` does, at less cost."""
        rule = statement.cache_rule
        if rule is None or not self.trust.is_current():
            return None
        keys = rule.keys()
        if len(keys) != 1 or (rows := self.memory.get(keys[0])) is None:
            return None
        self.counters.memory_hits += 1
        return rule.join([rows])

    def read(self, statement: Statement[Any]) -> Generator[Step, Any, list[Any]]:
        """Return the rows of a statement."""
        rule = statement.cache_rule
        keys = rule.keys() if rule is not None and self.trust.is_current() else ()
        if rule is None or not keys:
            self.counters.queries += 1
            answer: Answer = yield Query(statement)
            return answer.rows
        found, others, mine = self.memory.claim(keys)
        if not others and not mine:
            self.counters.memory_hits += 1
        if mine:
            found.update((yield from _Fetching(self, statement, rule, mine).fetch()))
        for key, fetch in others.items():
            fetched: Rows | None = yield Join(fetch, self.max_wait)
            if fetched is None:
                self.counters.queries += 1
                answer = yield Query(rule.query(statement, [key]))
                fetched = rule.split([key], answer.rows)[key]
            found[key] = fetched
        return rule.join([found[key] for key in keys])


@dataclass(slots=True)
class _Fetching:
    """One read's fetch of the entries that memory lacks and no other reader fetches."""

    reads: ReadThrough
    statement: Statement[Any]
    rule: CacheRule
    fetches: Mapping[Key, Fetch]
    rows: dict[Key, Rows] = field(default_factory=dict)
    lifetimes: dict[Key, float] = field(default_factory=dict)
    leased: list[Key] = field(default_factory=list)
    """Entries that Redis lacks and this read may store."""
    lookup: Lookup | None = None
    """The lookup that got the leases."""
    stamp: bytes = b""
    """The stamp that it found."""

    def fetch(self) -> Generator[Step, Any, Mapping[Key, Rows]]:
        """Return the rows, and end the fetches whatever happens."""
        reads = self.reads
        # of before the query, which may read candles that are stored only after it
        watermarks = reads.trust.watermarks()
        try:
            if reads.store is not None and reads.trust.redis_is_current():
                yield from self._look_up(reads.store, list(self.fetches))
            missing = [key for key in self.fetches if key not in self.rows]
            if not missing:
                reads.counters.redis_hits += 1
                return self.rows
            reads.counters.queries += 1
            try:
                answer: Answer = yield Query(self.rule.query(self.statement, missing))
            except Exception:
                yield from self._give_leases_back()
                raise
            for key, part in self.rule.split(missing, answer.rows).items():
                self.rows[key] = part
                if answer.kept:
                    span = self.rule.time_to_live(key, reads.policy, watermarks)
                    self.lifetimes[key] = span.total_seconds()
            if answer.kept:
                yield from self._fill()
            else:
                reads.counters.unkept += 1
                yield from self._give_leases_back()
            return self.rows
        finally:
            reads.memory.finish(self.fetches, self.rows, self.lifetimes)

    def _look_up(self, store: RedisStore, wanted: Sequence[Key]) -> Generator[Step, Any, None]:
        """Take from Redis what it has; wait, not long, for what other processes are fetching."""
        names = store.keys
        if names is None:
            return
        deadline = monotonic() + self.reads.max_wait
        while wanted:
            by_name = {names.value(key): key for key in wanted}
            lookup = Lookup(names.topic(self.rule.topic), tuple(by_name))
            answer: list[bytes] | None = yield lookup
            if answer is None:
                return
            stamp, *found = answer
            wanted, unreadable = [], []
            for (name, key), said in zip(by_name.items(), found, strict=True):
                match said[:1]:
                    case b"V":
                        if not self._take(key, said[1:]):
                            unreadable.append(name)
                    case b"L":
                        self.leased.append(key)
                        self.lookup, self.stamp = lookup, stamp
                    case b"W":
                        wanted.append(key)
            if unreadable:
                yield Discard(tuple(unreadable))
            # a read that has something to fetch does not wait: two such could wait for each other
            if not wanted or self.leased or unreadable or monotonic() >= deadline:
                return
            yield Sleep(_POLL)

    def _take(self, key: Key, value: bytes) -> bool:
        """Take a value of Redis; say whether it could be read."""
        until, _, data = value.partition(b" ")
        try:
            left = int(until) / 1000 - time()
            self.rows[key] = decode(data, self.statement.row)
        except _UNREADABLE as error:
            self.reads.counters.unreadable_values += 1
            if self.reads.counters.unreadable_values == 1:
                _log.warning(
                    "Redis holds a value that cannot be read (%s): it is deleted, as others like it"
                    " will be without another word",
                    type(error).__name__,
                )
            return False
        # no longer than a value of our own is kept, whatever Redis says
        self.lifetimes[key] = min(max(0.0, left), self.reads.policy.longest)
        return True

    def _fill(self) -> Generator[Step, Any, None]:
        """Store in Redis what was leased."""
        now = time()
        values = {}
        for key in self.leased:
            until = b"%d " % round((now + self.lifetimes[key]) * 1000)
            milliseconds = max(1, int(self.lifetimes[key] * 1000))
            values[key] = milliseconds, until + encode(self.rows[key], self.statement.row)
        yield from self._store(values)

    def _give_leases_back(self) -> Generator[Step, Any, None]:
        """Let other processes fetch what was leased."""
        yield from self._store(dict.fromkeys(self.leased))

    def _store(self, values: Mapping[Key, tuple[int, bytes] | None]) -> Generator[Step, Any, None]:
        store = self.reads.store
        if self.lookup is not None and store is not None and store.keys is not None:
            names = store.keys
            named = {names.value(key): value for key, value in values.items()}
            yield Store(self.lookup, self.stamp, named)
