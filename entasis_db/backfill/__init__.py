"""Filling what is missing from the files that exchanges and vendors publish.

    from entasis_db import backfill, quality

    gaps = quality.gaps("BTCUSDT", "binance-spot").fetch(connection)
    done = backfill.backfill(connection, backfill.spans_of(gaps), "downloads")

Nothing is downloaded: files that lie in a folder are loaded, and of the others it is said where
they are published. docs/trades.md says of which exchanges there are some.
"""

from entasis_db.backfill.filling import (
    Filled,
    Outcome,
    backfill,
    is_answered,
    load_needed,
    outcomes,
    plan_backfill,
)
from entasis_db.backfill.planning import Needed, Plan, Unfillable
from entasis_db.backfill.spans import Span, read_spans, span_of, spans_of

__all__ = [
    "Filled",
    "Needed",
    "Outcome",
    "Plan",
    "Span",
    "Unfillable",
    "backfill",
    "is_answered",
    "load_needed",
    "outcomes",
    "plan_backfill",
    "read_spans",
    "span_of",
    "spans_of",
]
