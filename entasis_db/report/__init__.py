"""A page that shows how a database is: its markets and gaps, lags, storage, runs and health.

    from entasis_db import report

    found = report.read(connection)
    path.write_text(report.page(found), encoding="utf-8")

It is read in one snapshot, and changes nothing.
"""

from entasis_db.report.page import page
from entasis_db.report.reading import read
from entasis_db.report.rows import (
    CheckedMarket,
    Drawn,
    Lag,
    Lifecycle,
    Month,
    Refused,
    Report,
    Unread,
)

__all__ = [
    "CheckedMarket",
    "Drawn",
    "Lag",
    "Lifecycle",
    "Month",
    "Refused",
    "Report",
    "Unread",
    "page",
    "read",
]
