"""Saying in the log what may happen a thousand times a second: the first at once, then a count."""

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

_INTERVAL = timedelta(minutes=1)


@dataclass(slots=True)
class _Kind:
    said_at: float
    unsaid: int = 0


class Notices:
    """Warns of each kind of event when it first happens, and then once an interval of how many.

    It may be used from any thread.
    """

    def __init__(self, log: logging.Logger, interval: timedelta = _INTERVAL) -> None:
        self._log = log
        self._interval = interval.total_seconds()
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, _Kind] = {}

    def note(self, kind: Hashable, number: int, first: Callable[[], str], more: str) -> None:
        """Count events of a kind, and warn of them if it is time.

        ``first`` makes the message of the first ones, ``more`` is that of later ones: it has %d for
        their number and %d for the seconds since the last message.
        """
        now = monotonic()
        with self._lock:
            known = self._kinds.get(kind)
            if known is None:
                self._kinds[kind] = _Kind(now)
            else:
                known.unsaid += number
                if now - known.said_at < self._interval:
                    return
                number, since = known.unsaid, now - known.said_at
                known.said_at, known.unsaid = now, 0
        if known is None:
            self._log.warning("%s", first())
        else:
            self._log.warning(more, number, since)

    def rest(self, kind: Hashable, more: str) -> None:
        """Warn of what was counted and not yet said, at the end."""
        with self._lock:
            known = self._kinds.get(kind)
            if known is None or not known.unsaid:
                return
            number, since = known.unsaid, monotonic() - known.said_at
            known.unsaid = 0
        self._log.warning(more, number, since)
