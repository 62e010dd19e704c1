"""What the arguments of queries must be; raised before any server is asked."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from entasis_db.errors import QueryError
from entasis_db.queries.intervals import INTERVALS


def check_aware(name: str, moment: datetime) -> None:
    """Raise ValueError for a time without a zone."""
    if moment.utcoffset() is None:
        raise ValueError(
            f"{name} is {moment.isoformat()}, without a time zone: give one, such as tzinfo=UTC"
        )


def check_range(from_time: datetime, to_time: datetime) -> None:
    """Raise ValueError for a range that holds nothing, or whose bounds have no zone."""
    check_aware("from_time", from_time)
    check_aware("to_time", to_time)
    # in UTC: two times of one zone are compared by their clocks, which stand still for no hour
    if not from_time.astimezone(UTC) < to_time.astimezone(UTC):
        raise ValueError(
            f"from_time is {from_time.isoformat()}, which is not before to_time,"
            f" {to_time.isoformat()}: give a range that holds something"
        )


def check_span(name: str, span: timedelta) -> None:
    """Raise ValueError for a span of time of 0 or less."""
    if span <= timedelta(0):
        raise ValueError(f"{name} is {span}: give a span of time above 0")


def check_moments(name: str, moments: Sequence[datetime | None]) -> list[datetime | None]:
    """Return moments as a list; ValueError if one of them has no zone."""
    for number, moment in enumerate(moments):
        if moment is not None:
            check_aware(f"{name}[{number}]", moment)
    return list(moments)


def check_interval(interval: str) -> None:
    """Raise QueryError for an interval that no candles have."""
    if interval not in INTERVALS:
        raise QueryError(
            f"there are no candles of {interval!r}: interval must be one of {', '.join(INTERVALS)}"
        )
