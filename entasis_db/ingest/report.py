"""What became of the rows of a batch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of one or more batches; the three add up to what was given."""

    inserted: int = 0
    """Rows that were stored."""
    already_there: int = 0
    """Rows that were stored before, with the same values: repeating a load changes nothing. Also
    trades that were stored without a side and have one now."""
    quarantined: int = 0
    """Rows in entasis.quarantine, with their reasons; those of an earlier load count again."""

    def __add__(self, other: "IngestReport") -> "IngestReport":
        """Return the sum of two reports."""
        return IngestReport(
            self.inserted + other.inserted,
            self.already_there + other.already_there,
            self.quarantined + other.quarantined,
        )
