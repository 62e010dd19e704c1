"""What one process keeps: decoded rows, bounded in number and age, and who is fetching what."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from time import monotonic
from typing import Any

Key = tuple[Any, ...]
"""First what it is, then the topic (see ``topic_of``), then the rest."""
Rows = tuple[Any, ...]
Flight = Future[Rows | None]
"""Somebody's fetch. None: it failed, and whoever waits for it fetches for himself."""


class Local:
    """Decoded rows by key, and the fetches under way.

    A fetch that began before an invalidation must neither be stored after it nor be joined by
    anybody who came after it: invalidating a key also forgets the fetch under way.
    """

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._rows: OrderedDict[Key, tuple[float, Rows]] = OrderedDict()
        self._flights: dict[Key, Flight] = {}

    def get(self, key: Key) -> Rows | None:
        """Return the rows of one key, or None."""
        with self._lock:
            return self._get(key, monotonic())

    def claim(
        self, keys: Iterable[Key]
    ) -> tuple[dict[Key, Rows], dict[Key, Flight], dict[Key, Flight]]:
        """Return what is there, what others are fetching, and what the caller is to fetch now.

        The caller must end the last with ``land``.
        """
        found: dict[Key, Rows] = {}
        flying: dict[Key, Flight] = {}
        mine: dict[Key, Flight] = {}
        now = monotonic()
        with self._lock:
            for key in keys:
                if (rows := self._get(key, now)) is not None:
                    found[key] = rows
                elif (flight := self._flights.get(key)) is not None:
                    flying[key] = flight
                else:
                    self._flights[key] = mine[key] = Future()
        return found, flying, mine

    def land(
        self, flights: Mapping[Key, Flight], rows: Mapping[Key, Rows], lives: Mapping[Key, float]
    ) -> None:
        """End fetches: keep what came, for so many seconds, unless it was invalidated meanwhile."""
        now = monotonic()
        with self._lock:
            for key, flight in flights.items():
                if self._flights.get(key) is flight:
                    del self._flights[key]
                    if key in rows and self._max_entries:
                        self._rows[key] = (now + lives[key], rows[key])
                        self._rows.move_to_end(key)
            while len(self._rows) > self._max_entries:
                self._rows.popitem(last=False)
        for key, flight in flights.items():
            flight.set_result(rows.get(key))

    def forget(self, concerns: Callable[[Key], bool] | None = None) -> None:
        """Throw away all, or those keys that something concerns, and let no fetch store them."""
        with self._lock:
            if concerns is None:
                self._rows.clear()
                self._flights.clear()
                return
            for key in [key for key in self._rows if concerns(key)]:
                del self._rows[key]
            for key in [key for key in self._flights if concerns(key)]:
                del self._flights[key]

    def forget_keys(self, keys: Iterable[Key]) -> None:
        """Throw away these keys, and let no fetch store them."""
        with self._lock:
            for key in keys:
                self._rows.pop(key, None)
                self._flights.pop(key, None)

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
