"""What a cache counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheMetrics:
    """What a cache has done so far, and how it is doing now."""

    memory_hits: int
    """Reads that were answered from this process's memory alone."""
    redis_hits: int
    """Reads that took something from Redis and ran no query."""
    queries: int
    """Queries that were run, for what was missing and for what is not cached."""
    unkept: int
    """Those of them whose rows were not kept because another server answered than the primary
    whose notifications are heard: a replica, say."""
    notifications: int
    """Notifications that were handled."""
    redis_failures: int
    """Times that Redis failed: was down, slow or full, or answered what cannot be understood."""
    listening: bool
    """Whether notifications arrive. If not, every read goes to the database."""
    entries: int
    """Entries in this process's memory."""


@dataclass(slots=True)
class Counters:
    """The changing part of CacheMetrics; a lost update among a million does no harm."""

    memory_hits: int = 0
    redis_hits: int = 0
    queries: int = 0
    unkept: int = 0
    notifications: int = 0
    redis_failures: int = 0
    unreadable_values: int = 0
