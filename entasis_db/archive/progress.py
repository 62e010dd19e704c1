"""What an archive or a restore is doing, for whoever watches."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Event:
    """One step with one range of a relation."""

    relation: str
    from_time: datetime
    to_time: datetime
    """Not included."""
    step: str
    """What happens, or has happened, in words."""
    rows: int = 0
    """Rows done so far in this step."""
    final: bool = False
    """Whether this is a result, and not a step on the way."""

    def __str__(self) -> str:
        start, end = (
            f"{t.astimezone(UTC):%Y-%m-%d %H:%M}".removesuffix(" 00:00")
            for t in (self.from_time, self.to_time)
        )
        rows = f", {self.rows:,} rows" if self.rows else ""
        return f"{self.relation} from {start} to {end}: {self.step}{rows}"


Progress = Callable[[Event], None]
