"""What counts as a gap in the WAL of a repository, and what is the work of its expiry."""

from datetime import UTC, datetime

import pytest

from entasis_db.backups.pgbackrest import Backup
from entasis_db.backups.segments import gaps, named, number

SIZE = 2**24
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def segment(n: int, timeline: int = 1, size: int = SIZE) -> str:
    per_log = 2**32 // size
    return f"{timeline:08X}{n // per_log:08X}{n % per_log:08X}"


def backup(first: int, last: int, kind: str = "full", timeline: int = 1) -> Backup:
    return Backup(
        *(f"{first}", kind, MOMENT, MOMENT, 1, 1),
        *(segment(first, timeline), segment(last, timeline), False, {}),
    )


def missing(there: set[int] | list[str], *backups: Backup) -> list[tuple[str, str, int]]:
    names = {segment(n) for n in there} if isinstance(there, set) else set(there)
    return [(gap.first, gap.last, gap.count) for gap in gaps(names, backups, SIZE)]


def run(first: int, last: int) -> tuple[str, str, int]:
    return segment(first), segment(last), last - first + 1


FULLS = (backup(3, 4), backup(10, 11), backup(20, 20))
ALL = set(range(1, 26))
RANGES = {3, 4, 10, 11, 20}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (ALL, []),
        (ALL - {1}, []),
        # expiry has left what the backups need, and all from the last, or the last but one, on
        (RANGES | set(range(20, 26)), []),
        (RANGES | set(range(10, 26)), []),
        (RANGES, []),
        # lost: before, in and after a backup
        (ALL - {7}, [run(7, 7)]),
        (ALL - {10}, [run(10, 10)]),
        (ALL - {22, 23}, [run(22, 23)]),
        # from the end of one backup to the beginning of the next, which expiry does only where it
        # takes all before it too
        (ALL - set(range(12, 20)), [run(12, 19)]),
        (ALL - set(range(5, 10)) - set(range(12, 20)), [run(5, 9), run(12, 19)]),
        (RANGES - {3} | set(range(20, 26)), [run(3, 3)]),
        (RANGES - {11} | set(range(20, 26)), [run(11, 11)]),
        (RANGES | set(range(10, 26)) - {15}, [run(15, 15)]),
        ({1, 2, 3, 4, 9}, [run(5, 8), run(10, 20)]),
    ],
)
def test_gaps(there: set[int], expected: list[tuple[str, str, int]]) -> None:
    found = missing(there, *FULLS)
    covered = [
        n
        for first, _, count in found
        for n in range(number(first, SIZE), count + number(first, SIZE))
    ]
    wanted = [
        n
        for first, _, count in expected
        for n in range(number(first, SIZE), count + number(first, SIZE))
    ]
    assert covered == wanted


def test_incremental_backups_do_not_begin_what_is_kept() -> None:
    """Expiry keeps all WAL from a full backup on: a hole before an incremental one is a loss."""
    backups = (backup(3, 4), backup(8, 8, "incr"))
    assert missing({3, 4, 5, 8, 9}, *backups) == [run(6, 7)]
    assert missing({3, 4, 8}, *backups) == [run(5, 7)]
    assert missing({3, 4, 8, 9}, *backups) == [run(5, 7)]


def test_a_timeline_goes_on_where_the_last_was_left() -> None:
    full = backup(3, 4)
    old = [segment(n) for n in range(3, 8)]
    new = [segment(n, 2) for n in range(8, 11)]
    assert missing(old + new, full) == []
    # its first segment begins as a copy of the one that was being written
    assert missing([*old, segment(7, 2), *new], full) == []
    assert missing(old + new[1:], full) == [(segment(8, 2), segment(8, 2), 1)]
    # recovered to an earlier moment: the old one goes further
    assert missing([*old, segment(5, 2), segment(6, 2)], full) == []
    # a full backup of its own is a new beginning
    assert missing([segment(3), segment(4), *new[1:]], full, backup(9, 9, timeline=2)) == []


def test_segments_of_other_sizes_and_names() -> None:
    size = 2**26
    names = {segment(n, size=size) for n in (62, 63, 65)}
    ((gap),) = gaps(names, (), size)
    assert (gap.first, gap.count) == ("000000010000000100000000", 1)
    digest = "a" * 40
    assert named(
        [
            f"0000000100000000/000000010000000000000002-{digest}.zst",
            f"0000000100000000/000000010000000000000003-{digest}",
            f"0000000100000000/000000010000000000000004.partial-{digest}.zst",
            "0000000100000000/000000010000000000000003.00000028.backup",
            "0000000100000000",
            "00000002.history",
        ]
    ) == {"000000010000000000000002", "000000010000000000000003"}
    assert missing([]) == []
    assert missing([], backup(3, 3)) == [run(3, 3)]
