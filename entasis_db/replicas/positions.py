"""How far a server is: places in the WAL of a database system, and how they compare.

A place is told apart by the system and by the timeline too. After a promotion the new primary
writes other WAL at places where its predecessor may have written: numbers of two timelines say
nothing about each other.
"""

import re
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self

_TEXT = re.compile(r"(-?[0-9]{1,20})\.([0-9A-F]{1,8})\.([0-9A-F]{1,16})")

# The timeline of a replica is that of the WAL it receives, which members of pg_read_all_stats see,
# else that of its control file, which is not newer than what it replays, and may be older.
STATE = """
    SELECT r.recovering,
        pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on',
        s.system_identifier,
        CASE WHEN r.recovering THEN GREATEST(
                (SELECT pg_catalog.max(w.received_tli) FROM pg_catalog.pg_stat_wal_receiver AS w),
                c.timeline_id, e.min_recovery_end_timeline
            )
        END,
        CASE WHEN NOT r.recovering
            THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn())
        END,
        CASE WHEN r.recovering THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_insert_lsn()
        END::pg_catalog.text,
        pg_catalog.current_setting('wal_block_size')::pg_catalog.int4,
        pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))
    FROM (SELECT pg_catalog.pg_is_in_recovery() AS recovering OFFSET 0) AS r,
        pg_catalog.pg_control_system() AS s, pg_catalog.pg_control_checkpoint() AS c,
        pg_catalog.pg_control_recovery() AS e
"""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the WAL of a database system: what was committed before it can be waited for.

    ``str()`` gives a text for a cookie or a message, and ``Position.parse`` reads it.
    """

    system: int
    """PostgreSQL's system identifier: the primary's and its replicas' is the same."""
    timeline: int
    """The timeline, which every promotion raises."""
    lsn: int
    """Bytes of WAL up to there."""

    def __str__(self) -> str:
        return f"{self.system}.{self.timeline:X}.{self.lsn:X}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str()`` gave. Raises ValueError for anything else."""
        if (found := _TEXT.fullmatch(text)) is None:
            raise ValueError("this is no position in the WAL: str() of a Position gives one")
        return cls(int(found[1]), int(found[2], 16), int(found[3], 16))

    def covers(self, other: "Position") -> bool:
        """Say whether all that was written before ``other`` is known to be there up to here."""
        same = (self.system, self.timeline) == (other.system, other.timeline)
        return same and self.lsn >= other.lsn


@dataclass(frozen=True, slots=True)
class State:
    """What a server has said of itself."""

    asked_at: float
    """When it was asked, in seconds of the monotonic clock: no later than what it said."""
    in_recovery: bool
    read_only: bool
    """Whether a session like this one takes no writes."""
    position: Position
    """Up to where it has written, or replayed."""


def state_of(asked_at: float, row: tuple[Any, ...] | None) -> State:
    """Read the answer to STATE."""
    assert row is not None
    recovering, read_only, system, timeline, segment, place, block, segment_size = row
    high, low = (int(part, 16) for part in (place or "0/0").split("/"))
    lsn = (high << 32) + low
    if not recovering:
        timeline = int(segment[:8], 16)
        lsn = _end_of_last_record(lsn, block, segment_size)
    return State(asked_at, recovering, read_only, Position(system, timeline, lsn))


def _end_of_last_record(lsn: int, block: int, segment: int) -> int:
    """Return where the last record ends if the next one begins behind a page's header.

    A replica that has replayed everything stands before that header until there is more, as after
    each change of the segment on an idle server.
    """
    if lsn % segment == _LONG_HEADER:
        return lsn - _LONG_HEADER
    return lsn - _SHORT_HEADER if lsn % block == _SHORT_HEADER else lsn


_SHORT_HEADER, _LONG_HEADER = 24, 40  # bytes, at the begin of a page and of a segment


def now() -> float:
    """Return the moment that states are compared with."""
    return monotonic()
