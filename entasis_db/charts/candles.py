"""Charts of candles, with the buckets in which nothing was traded."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Protocol

from entasis_db.charts.model import Chart, ChartError, Stick
from entasis_db.queries.intervals import LENGTH, Interval

MOST_BUCKETS = 200_000
"""As many as a browser draws without delay."""


class Traded(Protocol):
    """A candle of any query that has some."""

    @property
    def bucket(self) -> datetime: ...  # noqa: D102
    @property
    def open(self) -> Decimal: ...  # noqa: D102
    @property
    def high(self) -> Decimal: ...  # noqa: D102
    @property
    def low(self) -> Decimal: ...  # noqa: D102
    @property
    def close(self) -> Decimal: ...  # noqa: D102
    @property
    def volume(self) -> Decimal: ...  # noqa: D102
    @property
    def vwap(self) -> Decimal | None: ...  # noqa: D102
    @property
    def trades(self) -> int: ...  # noqa: D102


def of_candles(
    title: str, candles: Sequence[Traded], interval: Interval, notes: Sequence[str] = ()
) -> Chart:
    """Chart candles of one market and interval, in their order, with volume and VWAP.

    ``interval`` is one of queries.INTERVALS. Buckets without a trade stay empty. Raises ChartError
    where there is no candle, or more buckets than a browser can draw.
    """
    if not candles:
        raise ChartError("there is no candle to draw; choose another range")
    sticks = [
        Stick(c.bucket, c.open, c.high, c.low, c.close, c.volume, c.vwap, c.trades) for c in candles
    ]
    blanks = _blanks([stick.at for stick in sticks], interval)
    said = list(notes)
    if blanks:
        buckets = "1 bucket" if len(blanks) == 1 else f"{len(blanks):,} buckets"
        said.append(f"{buckets} without a trade, left empty.")
    return Chart(title, sticks, blanks=blanks, notes=said)


def _blanks(starts: Sequence[datetime], interval: Interval) -> list[datetime]:
    found: list[datetime] = []
    for before, after in pairwise(starts):
        at = _next(before, interval)
        while at < after:
            found.append(at)
            if len(found) + len(starts) > MOST_BUCKETS:
                raise ChartError(
                    f"that are more than {MOST_BUCKETS:,} buckets of {interval}: "
                    "choose a shorter range or a longer interval"
                )
            at = _next(at, interval)
    return found


def _next(bucket: datetime, interval: Interval) -> datetime:
    """Return the bucket after one; days, weeks and months are those of UTC."""
    if interval == "1mo":
        at = bucket.astimezone(UTC)
        return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return bucket + LENGTH[interval]
