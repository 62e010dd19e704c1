"""Evicting what a notification names from every layer."""

from collections.abc import Mapping
from typing import Any

from entasis_db.cache.memory import Memory
from entasis_db.cache.metrics import Counters
from entasis_db.cache.redis_store import FAILURES, RedisStore
from entasis_db.cache.trust import Trust
from entasis_db.queries.cache_rules import evicted_by


class Evictor:
    """Evicts entries from Redis first, and then from this process's memory.

    The other way round, a reader could take the old value from Redis after it was evicted here.
    """

    def __init__(
        self, memory: Memory, store: RedisStore | None, trust: Trust, counters: Counters
    ) -> None:
        self._memory = memory
        self._store = store
        self._trust = trust
        self._counters = counters

    def evict(self, message: Mapping[str, Any]) -> None:
        """Evict what a notification names.

        Raises whatever a message that is not one of ours leads to; some of it may be evicted then.
        """
        self._counters.notifications += 1
        evicted = evicted_by(message)
        if evicted.everything:
            self.evict_everything()
            return
        names = self._store.keys if self._store is not None else None
        if names is not None:
            self._delete(
                [
                    *(names.topic(topic) for topic in evicted.topics),
                    *(names.value(key) for key in evicted.keys),
                ]
            )
        self._memory.evict(evicted.keys, evicted.topics)

    def evict_everything(self) -> None:
        """Evict every entry."""
        if self._store is not None and self._store.keys is not None:
            self._delete([self._store.keys.everything])
        self._memory.clear()

    def empty_redis(self) -> None:
        """Make everything that Redis holds worthless, if it can be reached: then it is current."""
        store = self._store
        if store is None or (names := store.usable()) is None:
            return
        try:
            store.delete([names.everything])
        except FAILURES as error:
            store.breaker.failed(error)
        else:
            self._trust.redis_caught_up()

    def _delete(self, names: list[str]) -> None:
        """Delete keys in Redis, or remember that it may not be believed until it is emptied."""
        store = self._store
        if store is None or not names or not self._trust.redis_is_current():
            return
        if not store.breaker.admits():
            self._trust.redis_missed_eviction()
            return
        try:
            store.delete(names)
        except BaseException as error:
            self._trust.redis_missed_eviction()
            if isinstance(error, FAILURES):
                store.breaker.failed(error)
                return
            raise
