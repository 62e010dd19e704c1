"""What became of the rows of a batch."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of one or more batches; the first four add up to what was given."""

    inserted: int = 0
    """Rows that were stored."""
    already_there: int = 0
    """Rows that were stored before, with the same values: repeating a load changes nothing. Also
    trades that were stored without a side, source_id or excluded and have one now."""
    quarantined: int = 0
    """Rows in entasis.quarantine, with their reasons; those of an earlier load count again."""
    past_retention: int = 0
    """Rows below the floor of their relation, which were not stored: entasis.past_retention counts
    them by source and market."""
    past_keep: int = field(default=0, compare=False)
    """Of the rows stored, now or before, those past their keep period: maintenance drops the months
    that wholly are."""

    rounded: int = 0
    """Values that a model computed (volatilities, greeks) and that had more decimals than are
    stored: they were rounded half to even. Of all rows given, whatever became of them."""
    nulled: int = 0
    """Values that are stored as NULL because they are no number (NaN, infinite), or, if computed,
    because they are out of bounds, as a volatility below 0. Of all rows given."""

    def __add__(self, other: "IngestReport") -> "IngestReport":
        """Return the sum of two reports."""
        return IngestReport(
            self.inserted + other.inserted,
            self.already_there + other.already_there,
            self.quarantined + other.quarantined,
            self.past_retention + other.past_retention,
            self.past_keep + other.past_keep,
            self.rounded + other.rounded,
            self.nulled + other.nulled,
        )
