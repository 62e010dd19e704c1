"""Keeping away from Redis for a while after it failed."""

import logging
import threading
from time import monotonic

from entasis_db.cache.metrics import Counters

_log = logging.getLogger("entasis_db.cache")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # s without Redis after it failed


class Breaker:
    """A circuit breaker: pauses after a failure, longer after each further one, and warns once."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._lock = threading.Lock()
        self._paused_until = 0.0
        self._pause = 0.0

    def admits(self) -> bool:
        """Say whether Redis may be asked."""
        return not self._pause or monotonic() >= self._paused_until

    def failed(self, error: BaseException) -> None:
        """Count a failure, and pause."""
        with self._lock:
            self._counters.redis_failures += 1
            first = not self._pause
            if first or monotonic() >= self._paused_until:
                self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
                self._paused_until = monotonic() + self._pause
        if first:
            said = " ".join(str(error).split()) or type(error).__name__
            _log.warning("Redis does not answer, the database is asked instead: %s", said)

    def succeeded(self) -> None:
        """End the pauses."""
        if self._pause:
            with self._lock:
                self._pause = 0.0
            _log.warning("Redis answers again")
