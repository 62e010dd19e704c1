"""The steps of a read: what it asks its caller to do, and waits for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from entasis_db.cache.memory import Fetch
from entasis_db.queries.statement import Statement


@dataclass(frozen=True, slots=True)
class Query:
    """Run a statement. Answer: an Answer."""

    statement: Statement[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database answered."""

    rows: list[Any]
    kept: bool
    """Whether the rows may be kept, because their changes will be heard of."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Join:
    """Wait, at most so many seconds, for what another reader of this process fetches.

    Answer: its rows, or None when there are none in time.
    """

    fetch: Fetch
    seconds: float


@dataclass(frozen=True, slots=True)
class Lookup:
    """Look values up in Redis, and lease what is missing.

    Answer: the stamp, and for each value what lookup.lua says; None when Redis does not answer.
    """

    topic: str
    """The key of the topic's token."""
    values: tuple[str, ...]
    """The keys of the values."""
    token: str = field(default_factory=lambda: token_hex(16))
    """What this lookup's leases are known by."""


@dataclass(frozen=True, slots=True)
class Store:
    """Store values in Redis under the leases of a lookup; with None, give a lease back."""

    lookup: Lookup
    stamp: bytes
    values: Mapping[str, tuple[int, bytes] | None]
    """By key: milliseconds to live, and the value."""


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete values in Redis that cannot be read."""

    values: tuple[str, ...]
    """Their keys."""


Step = Query | Sleep | Join | Lookup | Store | Discard
