"""Keeping away from Redis for a while after it failed."""

import logging

from entasis_db.breaker import Breaker
from entasis_db.cache.metrics import Counters


class RedisBreaker(Breaker):
    """A circuit breaker that counts failures of Redis."""

    def __init__(self, counters: Counters) -> None:
        super().__init__(
            logging.getLogger("entasis_db.cache"),
            "Redis does not answer, the database is asked instead",
            "Redis answers again",
        )
        self._counters = counters

    def failed(self, error: BaseException) -> None:
        """Count a failure, and pause."""
        self._counters.redis_failures += 1
        super().failed(error)
