"""What a writer counts."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class WriterMetrics:
    """What a writer has done so far; all but ``queued`` and ``lag`` only grow."""

    queued: int
    """Rows accepted and not yet known to be committed: they are in memory only."""
    written: int
    """Rows that this writer stored."""
    already_there: int
    """Rows that were stored before, with the same values: by another writer, or by an attempt of
    this one whose commit the server could not confirm."""
    quarantined: int
    """Rows and unreadable messages that are in entasis.quarantine, with their reasons."""
    past_retention: int
    """Rows below the floor of their relation, which were not stored: entasis.past_retention counts
    them by source and market."""
    past_keep: int
    """Of the rows stored, those past their keep period: maintenance drops the months that wholly
    are."""
    rounded: int
    """Computed values (volatilities, greeks) that were rounded to the decimals that are stored."""
    nulled: int
    """Values that are NULL because they were no number, or, if computed, out of bounds."""
    lag: timedelta
    """How long ago the oldest queued row was accepted; zero when none is queued."""
    retries: int
    """Attempts that failed and were repeated."""
    last_error: str | None
    """The error of the last attempt that failed. None: no attempt has failed."""
