"""Where the rows of a range are: in the relation, in the archive, or known to nobody any more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from entasis_db.errors import HistoryError

RANGES = (
    "SELECT source, range_from, range_to, location, version, is_stale, objects"
    " FROM entasis_internal.history_ranges(%s, %s, %s, %s, %s)"
)
FLOOR = (
    "SELECT CASE WHEN pg_catalog.isfinite(f.floor) THEN f.floor END FROM entasis.floors AS f"
    " WHERE f.relation OPERATOR(pg_catalog.=) %s"
)


@dataclass(frozen=True)
class ArchiveObject:
    """An object of the archive."""

    key: str
    """Its key, relative to the location of its archive."""
    bytes: int
    """Its size."""
    rows: int
    """How many rows are in it, of all markets."""


@dataclass(frozen=True)
class HistoryRange:
    """A part of what was asked for, and where its rows are."""

    from_time: datetime
    """First moment, included; UTC."""
    to_time: datetime
    """First moment after it; UTC."""
    source: Literal["relation", "archive", "unknown"]
    """``relation``: the rows are in the database. ``archive``: in the store, and nowhere else.
    ``unknown``: below the floor, and not archived: dropped for good, or never stored."""
    location: str | None = None
    """URL of the archive's store, without options. None: the range is not read from it."""
    is_stale: bool = False
    """Whether rows are known to have changed after the archive was made: they went without it."""
    version: str | None = field(default=None, repr=False)
    """The archive's version."""
    objects: tuple[ArchiveObject, ...] = field(default=(), repr=False)
    """The archive's objects, in the order of their rows."""


class MovingError(HistoryError):
    """A partition is being dropped at this moment."""


@dataclass(frozen=True)
class Plan:
    """What one snapshot says of a range."""

    archived: tuple[HistoryRange, ...]
    """What is to be read from the archive alone, in order, cut to the range."""
    live: tuple[tuple[datetime, datetime], ...]
    """What is to be read from the relation: all the rest."""
    lost: tuple[tuple[datetime, datetime], ...]
    """What of the rest is not known, in order. (A row that is there is read all the same.)"""

    def ranges(self) -> list[HistoryRange]:
        """Return all of it in order."""
        kept = _without(self.live, self.lost)
        return sorted(
            [
                *self.archived,
                *(HistoryRange(*bounds, "relation") for bounds in kept),
                *(HistoryRange(*bounds, "unknown") for bounds in self.lost),
            ],
            key=lambda one: one.from_time,
        )

    def is_known(self, from_time: datetime, to_time: datetime) -> bool:
        """Say whether all of a range is known."""
        return not any(start < to_time and end > from_time for start, end in self.lost)


def planned(
    relation: str,
    from_time: datetime,
    to_time: datetime,
    floor: datetime | None,
    rows: Sequence[tuple[Any, ...]],
) -> Plan:
    """Make a plan of the answers to RANGES and FLOOR.

    Raises MovingError when a partition of the range is being dropped.
    """
    archived: list[HistoryRange] = []
    known: list[tuple[datetime, datetime]] = []
    for source, start, end, location, version, is_stale, objects in rows:
        bounds = max(start.astimezone(UTC), from_time), min(end.astimezone(UTC), to_time)
        if not bounds[0] < bounds[1]:
            continue
        if source == "moving":
            raise MovingError(
                f"{relation} from {bounds[0]} to {bounds[1]} is being dropped: ask again; if nobody"
                " is at it, entasis maintain completes what was begun"
            )
        if source == "relation":
            known.append(bounds)
            continue
        if archived and archived[-1].to_time > bounds[0]:
            raise HistoryError(
                f"two archives of {relation} hold {bounds[0]}: entasis archive list shows them"
            )
        found = tuple(ArchiveObject(o["key"], o["bytes"], o["rows"]) for o in objects or ())
        archived.append(HistoryRange(*bounds, "archive", location, is_stale, str(version), found))
    live = _without([(from_time, to_time)], [(one.from_time, one.to_time) for one in archived])
    below = [(start, min(end, floor)) for start, end in live if start < floor] if floor else []
    return Plan(tuple(archived), tuple(live), tuple(_without(below, known)))


def _without(
    ranges: Sequence[tuple[datetime, datetime]], taken: Sequence[tuple[datetime, datetime]]
) -> list[tuple[datetime, datetime]]:
    """Return what is left of ranges, in order."""
    left = list(ranges)
    for start, end in taken:
        left = [
            piece
            for a, b in left
            for piece in ((a, min(b, start)), (max(a, end), b))
            if piece[0] < piece[1]
        ]
    return left
