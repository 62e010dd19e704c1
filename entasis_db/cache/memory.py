"""What one process keeps: decoded rows, bounded in number and age, and the fetches under way."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from time import monotonic

from entasis_db.queries.cache_rules import Key, Rows, Topic

Fetch = Future[Rows | None]
"""One reader's fetch. None: it failed, and readers that waited for it fetch themselves."""


class Memory:
    """Decoded rows by key, least recently used first, and the fetches under way.

    What a fetch began to read before an eviction must neither be stored after it nor be joined by
    readers that came after it: evicting a key also drops the fetch under way.
    """

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._rows: OrderedDict[Key, tuple[float, Rows]] = OrderedDict()
        self._fetches: dict[Key, Fetch] = {}

    def get(self, key: Key) -> Rows | None:
        """Return the rows of one key, or None."""
        with self._lock:
            return self._get(key, monotonic())

    def claim(
        self, keys: Iterable[Key]
    ) -> tuple[dict[Key, Rows], dict[Key, Fetch], dict[Key, Fetch]]:
        """Return what is there, what others are fetching, and what the caller is to fetch now.

        The caller must end the last with ``finish``.
        """
        found: dict[Key, Rows] = {}
        others: dict[Key, Fetch] = {}
        mine: dict[Key, Fetch] = {}
        now = monotonic()
        with self._lock:
            for key in keys:
                if (rows := self._get(key, now)) is not None:
                    found[key] = rows
                elif (fetch := self._fetches.get(key)) is not None:
                    others[key] = fetch
                else:
                    self._fetches[key] = mine[key] = Future()
        return found, others, mine

    def finish(
        self,
        fetches: Mapping[Key, Fetch],
        rows: Mapping[Key, Rows],
        lifetimes: Mapping[Key, float],
    ) -> None:
        """End fetches: keep their rows for so many seconds, unless they were evicted meanwhile.

        Rows without a lifetime are not kept.
        """
        now = monotonic()
        with self._lock:
            for key, fetch in fetches.items():
                if self._fetches.get(key) is fetch:
                    del self._fetches[key]
                    if key in rows and key in lifetimes and self._max_entries:
                        self._rows[key] = (now + lifetimes[key], rows[key])
                        self._rows.move_to_end(key)
            while len(self._rows) > self._max_entries:
                self._rows.popitem(last=False)
        for key, fetch in fetches.items():
            fetch.set_result(rows.get(key))

    def clear(self) -> None:
        """Evict everything, and let no fetch under way store anything."""
        with self._lock:
            self._rows.clear()
            self._fetches.clear()

    def evict(self, keys: Iterable[Key], topics: Iterable[Topic] = ()) -> None:
        """Evict these keys and all of these topics, and let no fetch under way store them."""
        with self._lock:
            for key in keys:
                self._rows.pop(key, None)
                self._fetches.pop(key, None)
            if evicted := set(topics):
                for key in [key for key in self._rows if key[1] in evicted]:
                    del self._rows[key]
                for key in [key for key in self._fetches if key[1] in evicted]:
                    del self._fetches[key]

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._rows)

    def _get(self, key: Key, now: float) -> Rows | None:
        entry = self._rows.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            del self._rows[key]
            return None
        self._rows.move_to_end(key)
        return entry[1]
