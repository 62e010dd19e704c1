"""The quality of what is stored: gaps in it, and how much of a market there is.

    from entasis_db import quality

    found = quality.gaps("BTCUSDT", "binance-spot", start, end).fetch(connection)

Ranges are half-open, ``[from_time, to_time)``; None is no bound. docs/quality.md says what is found
and how.
"""

from entasis_db.quality.gaps import coverage, gaps
from entasis_db.quality.rows import Coverage, Gap, GapKind

__all__ = ["Coverage", "Gap", "GapKind", "coverage", "gaps"]
