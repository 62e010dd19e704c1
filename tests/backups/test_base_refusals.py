"""What the suite's own servers are told: each is too old, or does not note which blocks change."""

from pathlib import Path

import pytest

from entasis_db.backups.base import take_backup
from entasis_db.errors import BackupError
from entasis_db.runs import runs
from entasis_db.store import open_store
from tests.db import Connection

pytestmark = pytest.mark.several_connections


def test_a_server_that_has_no_incremental_backups(connection: Connection, tmp_path: Path) -> None:
    store = open_store((tmp_path / "place").as_uri())
    old = connection.info.server_version < 170000
    told = r"needs PostgreSQL 17 or later, and this server is 1[56]: .* pgBackRest"
    with pytest.raises(BackupError, match=told if old else "SET summarize_wal = on"):
        take_backup(connection, store)
    assert store.sizes() == {}
    (failed,) = runs(connection, "backup")
    assert failed.outcome == "failed"
