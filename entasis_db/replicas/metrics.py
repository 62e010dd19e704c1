"""What is counted of each server."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["unknown", "primary", "replica"]


@dataclass(frozen=True, slots=True)
class ServerMetrics:
    """What a server has been asked so far, and how it is doing."""

    name: str
    """Host and port."""
    role: Role
    """What it was when it was last asked."""
    left_out: bool
    """Whether it is not asked for now, because it failed a moment ago."""
    reads: int
    """Reads that it has answered."""
    writes: int
    """Times that its connection was lent for writes."""
    waits: int
    """Reads that waited until it had replayed what they asked for."""
    late: int
    """Times that it had not replayed what a read asked for, and another server was asked."""
    failures: int
    """Times that it could not be reached, ended a session or a query, or was the wrong server."""
