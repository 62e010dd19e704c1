"""Segments of WAL in a repository: which are there, and which are missing between them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from entasis_db.backups.pgbackrest import Backup

_SEGMENT = re.compile(r"(?:.*/)?([0-9A-F]{24})-[0-9a-f]{40}(?:\.(?:gz|bz2|lz4|zst))?")
_BYTES = 2**32


@dataclass(frozen=True)
class Gap:
    """Segments that are missing, from the first to the last of them."""

    first: str
    last: str
    count: int


def named(files: Iterable[str]) -> set[str]:
    """Pick the segments out of the names of a repository's files."""
    return {found[1] for name in files if (found := _SEGMENT.fullmatch(name))}


def whole(name: str | None) -> str | None:
    """Return the segment that a file of WAL is, or tells of; None for a part, or a history."""
    found = re.match(r"[0-9A-F]{24}(?!\.partial)", name or "")
    return None if found is None else found[0]


def number(segment: str, segment_bytes: int) -> int:
    """Return the number of a segment within its timeline."""
    return int(segment[8:16], 16) * (_BYTES // segment_bytes) + int(segment[16:], 16)


def gaps(there: set[str], backups: Sequence[Backup], segment_bytes: int) -> list[Gap]:
    """Find what is missing of the WAL that is to be kept, in the order of its timelines."""
    found: dict[str, set[int]] = defaultdict(set)
    needed: dict[str, set[int]] = defaultdict(set)
    fulls: dict[str, list[int]] = defaultdict(list)
    for segment in there:
        found[segment[:8]].add(number(segment, segment_bytes))
    for one in backups:
        if one.first_segment is None or one.last_segment is None:
            continue
        first, last = (number(s, segment_bytes) for s in (one.first_segment, one.last_segment))
        needed[one.first_segment[:8]].update(range(first, last + 1))
        if one.kind == "full":
            fulls[one.first_segment[:8]].append(first)
    missing: list[Gap] = []
    before: int | None = None
    for timeline in sorted(found.keys() | needed.keys()):
        have, backed = found[timeline], needed[timeline]
        begin = _kept_from(have, backed, fulls[timeline])
        end = max(have | backed)
        if before is not None and begin == min(have | backed) and begin not in fulls[timeline]:
            # it goes on where the timeline before it was left
            begin = min(begin, before + 1)
        wanted = backed | set(range(begin, end + 1))
        missing += _runs(timeline, wanted - have, segment_bytes)
        before = end
    return missing


def _kept_from(found: set[int], needed: set[int], fulls: Sequence[int]) -> int:
    """Tell from which segment of a timeline on all are to be there.

    Expiry keeps all WAL from the beginning of some full backup on, and before it only what each
    backup needs itself.
    """
    others = found - needed
    if not others:
        return max(fulls, default=min(found | needed))
    return max((n for n in fulls if n <= min(others)), default=min(found | needed))


def _runs(timeline: str, missing: set[int], segment_bytes: int) -> Iterator[Gap]:
    begin: int | None = None
    for n in sorted(missing):
        begin = n if begin is None else begin
        if n + 1 not in missing:
            first, last = (_name(timeline, m, segment_bytes) for m in (begin, n))
            yield Gap(first, last, n - begin + 1)
            begin = None


def _name(timeline: str, n: int, segment_bytes: int) -> str:
    per_log = _BYTES // segment_bytes
    return f"{timeline}{n // per_log:08X}{n % per_log:08X}"
