"""The quality of what is stored: gaps in it, and what cannot be right.

    from entasis_db import quality

    found = quality.gaps("BTCUSDT", "binance-spot", start, end).fetch(connection)

Ranges are half-open, ``[from_time, to_time)``; None is no bound. docs/quality.md says what is found
and how.
"""

from entasis_db.quality.anomalies import (
    Decision,
    Detected,
    anomalies,
    decide,
    detect,
    note_candle_differences,
)
from entasis_db.quality.gaps import coverage, gaps
from entasis_db.quality.rows import Anomaly, AnomalyKind, AnomalyState, Coverage, Gap, GapKind

__all__ = [
    "Anomaly",
    "AnomalyKind",
    "AnomalyState",
    "Coverage",
    "Decision",
    "Detected",
    "Gap",
    "GapKind",
    "anomalies",
    "coverage",
    "decide",
    "detect",
    "gaps",
    "note_candle_differences",
]
