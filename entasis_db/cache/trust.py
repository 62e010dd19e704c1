"""Which layers may answer a read."""

from collections.abc import Mapping
from time import monotonic

_NEVER = float("-inf")


class Trust:
    """Whether this process has heard of every change, and whether Redis has.

    The listener's thread reports, readers of any thread ask. Every report is one assignment, so
    that a reader sees the state before it or after it. What a reader finds out before a report and
    stores after it is rejected by the layers themselves: an eviction also ends the fetches under
    way, in memory as in Redis.
    """

    def __init__(self, max_silence: float) -> None:
        """Begin with no trust in either layer; ``max_silence`` is in seconds."""
        self.max_silence = max_silence
        self._heard_all_until = _NEVER
        self._redis_is_current = False
        self._watermarks: Mapping[str, float] = {}
        self._server: str | None = None

    # -------------------------------------------------------------- notifications

    def heard_all(self, until: float, watermarks: Mapping[str, float]) -> None:
        """Report that everything committed before a moment (monotonic seconds) was heard of.

        ``watermarks`` are those of the database at that moment, by relation: candles that are over
        by then (seconds since 1970) change only with a notification.
        """
        self._watermarks = watermarks
        self._heard_all_until = until

    def listens_to(self, server: str) -> None:
        """Report which server's notifications will be heard."""
        self._server = server

    def server(self) -> str | None:
        """Return the identity of the server whose notifications are heard; None: of none."""
        return self._server

    def lost_connection(self) -> None:
        """Report that notifications may be missed from now on."""
        self._server = None
        self._heard_all_until = _NEVER

    def is_current(self) -> bool:
        """Say whether everything that was committed longer ago than max_silence was heard of."""
        return monotonic() - self._heard_all_until <= self.max_silence

    def watermarks(self) -> Mapping[str, float]:
        """Return the database's watermarks when it last reported them."""
        return self._watermarks

    # -------------------------------------------------------------- Redis

    def redis_missed_eviction(self) -> None:
        """Report that Redis may hold what a notification should have evicted."""
        self._redis_is_current = False

    def redis_caught_up(self) -> None:
        """Report that Redis was emptied, or that another process has evicted without a gap."""
        self._redis_is_current = True

    def redis_is_current(self) -> bool:
        """Say whether what Redis holds may be believed."""
        return self._redis_is_current
