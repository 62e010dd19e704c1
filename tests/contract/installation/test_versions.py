"""A server newer than any that could be run is not refused for its number; an old one is."""

import psycopg
import pytest

from entasis_db.errors import MigrationError
from entasis_db.maintenance import maintain
from entasis_db.migrate import migrate
from tests.engines import Database


def call_itself(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let every server say that it is another version; what it can do stays as it is."""
    monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", property(lambda _: number))


@pytest.mark.newest_server
@pytest.mark.native_speed
@pytest.mark.parametrize("number", [190000, 200003])
@pytest.mark.newer_servers
def test_a_newer_major_version_is_not_refused(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with empty_database.connect() as connection:
        if connection.info.server_version < 160000:
            pytest.skip("what is asked of 16 and later, 15 cannot do")
    call_itself(monkeypatch, number)
    found = migrate(empty_database.dsn, engine=empty_database.engine)
    assert found.pending == ()
    assert migrate(empty_database.dsn).migrations == found.migrations
    with empty_database.connect() as connection:
        assert connection.info.server_version == number
        maintain(connection)


@pytest.mark.newest_server
def test_an_older_major_version_is_refused(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_itself(monkeypatch, 140024)
    with pytest.raises(MigrationError, match="is PostgreSQL 14; Entasis DB needs 15 or later"):
        migrate(empty_database.dsn, engine=empty_database.engine)
