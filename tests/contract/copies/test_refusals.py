"""What cannot be copied is said before anything is written."""

from pathlib import Path

import pytest

from tests.contract.cli.support import fails
from tests.db import one
from tests.engines import Database

pytestmark = pytest.mark.newest_server

OPEN = {
    "a reopened range": (
        "INSERT INTO entasis.reopened (relation, from_time, to_time, keep_until)"
        " VALUES ('market_data', '2024-08-08Z', '2024-08-09Z', now())",
        "market_data is reopened from 2024-08-08 00:00:00+00 to 2024-08-09 00:00:00+00, and would",
    ),
    "a restored range": (
        "INSERT INTO entasis.restores (table_name, relation, from_time, to_time)"
        " VALUES ('m', 'market_data', '2024-08-08Z', '2024-08-09Z')",
        "market_data is restored from the archive into m, and would come back",
    ),
    "a table of somebody's": (
        "CREATE TABLE entasis.mine ()",
        "entasis.mine is no table of this release, and a portable dump would leave it behind",
    ),
}


@pytest.mark.parametrize("what", OPEN)
def test_what_a_portable_dump_would_lose_or_bring_back(
    database: Database, tmp_path: Path, what: str
) -> None:
    statement, said = OPEN[what]
    with database.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute(statement.encode())
        assert said in fails(database, "dump", "--to", str(tmp_path / "d"), "--portable")
        assert not (tmp_path / "d").exists()
        query = "SELECT count(*) FROM entasis.runs WHERE action = 'dump'"
        assert one(connection, query) == 0


def test_what_is_no_database_of_ours(empty_database: Database, tmp_path: Path) -> None:
    said = fails(empty_database, "dump", "--to", str(tmp_path / "d"), "--portable")
    assert said == (
        "entasis: Entasis DB is not installed in this database: there is nothing to dump"
    )
    said = fails(empty_database, "restore-dump", "--from", str(tmp_path))
    assert f"{tmp_path} has no manifest.json" in said


def test_pg_dump_of_shards(database: Database, tmp_path: Path) -> None:
    """They would come back as a table of the coordinator."""
    if database.can("pg_dump"):
        pytest.skip("pg_dump takes it whole")
    said = fails(database, "dump", "--to", str(tmp_path / "d"))
    assert said.endswith("where the shards of engine citus are: dump with --portable")
    assert not (tmp_path / "d").exists()
