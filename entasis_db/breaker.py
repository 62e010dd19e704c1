"""Keeping away for a while from what failed."""

import logging
import threading
from time import monotonic

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # s of keeping away after a failure


class Breaker:
    """A circuit breaker: pauses after a failure, longer after each further one, and warns once."""

    def __init__(self, log: logging.Logger, down: str, up: str) -> None:
        """``down`` is said before what went wrong, at the first failure, and ``up`` at its end."""
        self._log = log
        self._down = down
        self._up = up
        self._lock = threading.Lock()
        self._paused_until = 0.0
        self._pause = 0.0

    def admits(self) -> bool:
        """Say whether it may be asked."""
        return not self._pause or monotonic() >= self._paused_until

    def failed(self, error: BaseException) -> None:
        """Pause."""
        with self._lock:
            first = not self._pause
            if first or monotonic() >= self._paused_until:
                self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
                self._paused_until = monotonic() + self._pause
        if first:
            said = " ".join(str(error).split()) or type(error).__name__
            self._log.warning("%s: %s", self._down, said)

    def succeeded(self) -> None:
        """End the pauses."""
        if self._pause:
            with self._lock:
                self._pause = 0.0
            self._log.warning("%s", self._up)
