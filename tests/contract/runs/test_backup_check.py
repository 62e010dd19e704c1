"""What a check of the backups asks of every server, and the row that it leaves there."""

import psycopg
import pytest

from entasis_db import runs
from entasis_db.backups import PgBackRest, check_backups
from entasis_db.backups.archiver import archiver
from entasis_db.errors import BackupError
from tests.conftest import Login
from tests.db import Connection


def test_every_server_says_how_far_archiving_has_come(connection: Connection) -> None:
    found = archiver(connection)
    assert found.mode in ("off", "on", "always")
    assert found.segment_bytes >= 2**20
    assert len(found.current_segment) == 24
    assert found.waiting is not None


@pytest.mark.several_connections
def test_a_check_that_cannot_be_made_leaves_its_row(login: Login, connection: Connection) -> None:
    with login("entasis_admin") as admin:
        assert archiver(admin).waiting is None
        with pytest.raises(BackupError, match="is not on this machine"):
            check_backups(admin, PgBackRest(command=("/nowhere/pgbackrest",)))
        ((last),) = runs.runs(admin, "backup check", limit=1)
    assert last.outcome == "failed"
    assert "/nowhere/pgbackrest" in last.detail["error"]
    with login("entasis_writer") as writer, pytest.raises(psycopg.errors.InsufficientPrivilege):
        check_backups(writer, PgBackRest(command=("/nowhere/pgbackrest",)))
