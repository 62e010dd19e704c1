"""What archives and restores make is their owner's, and has names of its own."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg import errors

from entasis_db.store import FolderStore
from tests.db import Connection, one
from tests.make import NOON

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def test_a_folder_is_private(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "not" / "yet"
    source.write_bytes(b"x")
    source.chmod(0o644)
    store = FolderStore(root)
    # of a killed run, or another's
    (root / "a").mkdir(parents=True)
    (root / "a" / "left.partial").write_bytes(b"y")
    (root / "a" / "left.partial").chmod(0o666)
    for key in ("a/left", "b/c/new"):
        store.put(key, source)
        assert stat.S_IMODE((root / key).stat().st_mode) == 0o600
        assert (root / key).read_bytes() == b"x"
    for folder in ("b", "b/c"):
        assert stat.S_IMODE((root / folder).stat().st_mode) == 0o700


@pytest.mark.copy
def test_names_of_restored_tables_differ(connection: Connection) -> None:
    begin = "SELECT entasis_internal.restore_begin('exchange_candles', %s, %s)"
    made = set()
    half = timedelta(microseconds=500_000)
    ranges = [
        (NOON, NOON + MINUTE),
        (NOON + half, NOON + MINUTE),
        (NOON, NOON + MINUTE + half),
        (NOON + half, NOON + MINUTE + half),
        (NOON + SECOND / 4, NOON + MINUTE + half),
    ]
    for bounds in ranges:
        made.add(one(connection, begin, *bounds))
    assert len(made) == len(ranges)
    connection.execute(
        "UPDATE entasis.restores SET verified_at = now(), row_count = 0, checksum = 0"
    )
    for bounds in ranges:
        with pytest.raises(errors.DuplicateTable):
            connection.execute(begin, bounds)
