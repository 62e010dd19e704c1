"""A dump by pg_dump, restored, is the same database; what loses something is named."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from entasis_db.catalog import ROLES
from entasis_db.copies import compare_with_dump, dump, restore_dump
from entasis_db.copies.roles import roles
from entasis_db.errors import CopyError
from entasis_db.migrate import status
from tests import oracle
from tests.contract.cli.support import entasis, fails, succeeds
from tests.contract.copies.support import (
    DESK,
    as_login,
    new,
    restored,
    run,
    runs,
    state,
)
from tests.db import Connection, one
from tests.engines import Database, Server
from tests.make import TODAY, insert_trades
from tests.servers import sources
from tests.servers.cluster import bare_cluster

pytestmark = [
    pytest.mark.own_cluster,
    pytest.mark.several_connections,
    pytest.mark.pg_dump,
]


def test_a_restored_dump_is_the_same_database(
    server: Server, filled: Database, dumped: Path, empty_database: Database
) -> None:
    done = restored(empty_database, dumped, program_folder=server.source.bindir)
    assert done.dumped.content.relations["entasis.market_data"].rows > 0
    with filled.connect() as before, empty_database.connect() as after:
        kept = state(before)
        assert all(kept[table] for table in kept.keys() - {"archives", "archive_objects"})
        assert kept["archives"]
        assert state(after) == kept
        assert status(after).drift == ()
        ((outcome, _),) = runs(after, "dump")
        assert outcome == "done"
        ((outcome, detail),) = runs(after, "restore-dump")
        assert (outcome, detail["kind"]) == ("done", "pg_dump")
        assert one(after, "SELECT count(*) FROM pg_stats WHERE tablename = 'markets'") > 0
        if empty_database.can("hypertables"):
            # those that had been paused are, and the scheduler is there again
            query = "SELECT proc_name, scheduled FROM timescaledb_information.jobs ORDER BY 1"
            assert after.execute(query).fetchall() == before.execute(query).fetchall()
            assert one(after, "SELECT current_setting('timescaledb.restoring')") == "off"
        # and it goes on living
        insert_trades(after, new(77, timestamp=TODAY))
        oracle.refresh(after)
        assert one(after, "SELECT count(*) FROM entasis.ohlcv_1m WHERE bucket = %s", TODAY) == 1


@pytest.mark.newest_server
def test_into_a_cluster_without_the_roles(server: Server, dumped: Path) -> None:
    assert server.source.bindir is not None
    with bare_cluster(server.source.bindir, **server.source.settings) as cluster:
        with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE copy TEMPLATE template0")
        into = Database(cluster.dsn("copy"), server.source)
        restored(into, dumped, program_folder=server.source.bindir)
        with into.connect() as connection:
            assert connection.execute(
                "SELECT a.rolcanlogin, a.rolpassword, pg_has_role(a.oid, 'entasis_writer', 'usage')"
                " FROM pg_authid AS a WHERE a.rolname = %s",
                [DESK],
            ).fetchone() == (True, None, True)
            connection.execute("CREATE DATABASE careless TEMPLATE template0")
        # what pg_restore does by itself, and says nothing
        careless = Database(cluster.dsn("careless"), server.source)
        if careless.can("candle_tables"):
            archive = str(dumped / "pg_dump")
            assert run(server, careless, "pg_restore", "--no-owner", archive) == ""
            found = compare_with_dump(careless.dsn, dumped).differences
            assert any(line.startswith("the owner of entasis.market_data is ") for line in found)


@pytest.mark.newest_server
def test_the_members_of_every_role_come_along(server: Server, connection: Connection) -> None:
    for role in ROLES[1:]:
        with server.login(role) as (name, _):
            found = roles(connection, passwords=False)
            assert name in {one.name for one in found.roles}
            assert (role, name) in {(m.role, m.member) for m in found.members}


@pytest.mark.newest_server
def test_data_only_into_a_migrated_database(
    server: Server, database: Database, dumped: Path
) -> None:
    """What triggers and existing partitions make of it is refused, and named if done by hand."""
    with pytest.raises(CopyError, match="the database is not empty"):
        restore_dump(database.dsn, dumped, program_folder=server.source.bindir)
    run(server, database, "pg_restore", "--data-only", str(dumped / "pg_dump"))
    said = entasis(database, "restore-dump", "--from", str(dumped), "--compare")
    assert said.exit_code == 1
    lost = said.stderr.splitlines()
    assert any("entasis.market_data has " in line for line in lost), lost
    assert lost[-1].endswith(f"differences from the dump of {_taken(dumped)}")


def _taken(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())["taken_at"]


@pytest.mark.hypertables
@pytest.mark.newest_server
def test_timescaledb_that_was_not_prepared(
    server: Server, empty_database: Database, dumped: Path
) -> None:
    with empty_database.connect() as connection:
        connection.execute("CREATE EXTENSION timescaledb")
    run(server, empty_database, "pg_restore", str(dumped / "pg_dump"))
    found = compare_with_dump(empty_database.dsn, dumped).differences
    assert any(line.startswith("entasis.market_data ") for line in found), found


@pytest.mark.newest_server
def test_who_may_dump(
    server: Server, filled: Database, tmp_path: Path, empty_database: Database
) -> None:
    with server.login("entasis_admin") as (name, password):
        said = fails(as_login(filled, name, password), "dump", "--to", str(tmp_path / "a"))
        assert said == (
            f"entasis: {name} may not dump, because row-level security hides positions from it: "
            "dump as a superuser, or as a login with BYPASSRLS and the roles pg_read_all_data and "
            "entasis_admin"
        )
        assert not (tmp_path / "a").exists()
        with server.admin() as connection:
            connection.execute(f"ALTER ROLE {name} BYPASSRLS")
            connection.execute(f"GRANT pg_read_all_data TO {name}")
        dump(
            as_login(filled, name, password),
            tmp_path / "b",
            program_folder=server.source.bindir,
        )
        with pytest.raises(CopyError, match="may not restore a dump"):
            restore_dump(as_login(empty_database, name, password), tmp_path / "b")


@pytest.mark.newest_server
def test_passwords_come_only_when_they_are_asked_for(
    server: Server, filled: Database, dumped: Path, tmp_path: Path
) -> None:
    assert "SCRAM" not in "".join(f.read_text() for f in dumped.iterdir() if f.is_file())
    dump(filled.dsn, tmp_path / "d", portable=True, role_passwords=True)
    script = tmp_path / "d" / "roles.sql"
    assert f'CREATE ROLE "{DESK}" LOGIN' in script.read_text()
    assert "PASSWORD 'SCRAM-SHA-256$" in script.read_text()
    assert {p.stat().st_mode & 0o077 for p in (script, script.parent)} == {0}


@pytest.mark.newest_server
def test_no_program_is_told_a_password_where_others_see_it(
    server: Server, filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    start = subprocess.Popen.__init__

    def watched(self: Any, command: Any, *arguments: Any, **options: Any) -> None:
        told.append(command)
        start(self, command, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", watched)
    dump(filled.dsn, tmp_path / "d", program_folder=server.source.bindir)
    password = str(conninfo_to_dict(filled.dsn)["password"])
    assert any("--snapshot" in str(command) for command in told)
    assert password not in str(told)
    for file in (tmp_path / "d").iterdir():
        if file.is_file():
            assert password not in file.read_text()


@pytest.mark.parametrize("fault", ["cut", "missing", "no manifest"])
@pytest.mark.newest_server
def test_a_dump_that_is_not_whole(
    dumped: Path, empty_database: Database, tmp_path: Path, fault: str
) -> None:
    folder = tmp_path / "d"
    shutil.copytree(dumped, folder)
    largest = max((folder / "pg_dump").iterdir(), key=lambda file: file.stat().st_size)
    match fault:
        case "cut":
            largest.write_bytes(largest.read_bytes()[:-1])
        case "missing":
            largest.unlink()
        case _:
            (folder / "manifest.json").unlink()
    said = fails(empty_database, "restore-dump", "--from", str(folder))
    assert {"cut": "is not as it was dumped", "missing": "is missing from the dump"}.get(
        fault, "did not come to its end"
    ) in said
    with empty_database.connect() as connection:
        assert one(connection, "SELECT to_regnamespace('entasis') IS NULL")


@pytest.mark.newest_server
def test_a_restore_that_fails_says_so_in_a_line(
    server: Server, dumped: Path, empty_database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "d"
    shutil.copytree(dumped, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    name = next(n for n in manifest["files"] if n.endswith(".gz"))
    (folder / name).write_bytes(b"no gzip")
    manifest["files"] = {}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = fails(
        empty_database, "restore-dump", "--from", str(folder), "--programs", _bindir(server)
    )
    assert "pg_restore failed: " in said
    assert said.endswith("Drop the database, create it anew, and restore again")
    if empty_database.can("hypertables"):
        with empty_database.connect() as connection:
            assert one(connection, "SELECT current_setting('timescaledb.restoring')") == "off"


def _bindir(server: Server) -> str:
    return str(server.source.bindir)


@pytest.mark.newest_server
def test_programs_of_the_right_version(
    filled: Database, tmp_path: Path, empty_database: Database, dumped: Path
) -> None:
    for name in ("pg_dump", "pg_restore"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 9.6.1'\n")
        program.chmod(0o755)
    said = fails(filled, "dump", "--to", str(tmp_path / "d"), "--programs", str(tmp_path))
    assert "pg_dump of versions " in said
    assert f"found was {tmp_path}/pg_dump (9). Install PostgreSQL's client programs" in said
    assert not (tmp_path / "d").exists()
    said = fails(empty_database, "restore-dump", "--from", str(dumped), "--programs", str(tmp_path))
    assert "pg_restore of version" in said


@pytest.mark.newest_server
def test_a_folder_that_is_not_empty(filled: Database, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    said = fails(filled, "dump", "--to", str(tmp_path), "--portable")
    assert said == f"entasis: {tmp_path} is not empty: name a new folder for the dump"
    assert succeeds(filled, "runs", "--action", "dump", "--json").count("not empty") == 0


@pytest.mark.newest_server
def test_the_dump_of_one_engine_to_the_other(
    dumped: Path, empty_database: Database, server: Server
) -> None:
    (other,) = {"postgresql", "timescaledb"} - {server.source.engine}
    said = fails(empty_database, "restore-dump", "--from", str(dumped), "--engine", other)
    assert said.endswith(f"cannot be restored to {other}: take one with --portable")


@pytest.mark.hypertables
@pytest.mark.newest_server
def test_no_job_begins_before_all_is_compared(
    server: Server, database: Database, empty_database: Database, tmp_path: Path
) -> None:
    """A new job is due at once: a refresh would change candles, maintenance drop rows."""
    dump(database.dsn, tmp_path / "d", program_folder=server.source.bindir)
    restored(empty_database, tmp_path / "d", program_folder=server.source.bindir)
    with empty_database.connect() as connection:
        for _ in range(100):
            later = connection.execute(
                "SELECT r.id > (SELECT id FROM entasis.runs WHERE action = 'restore-dump')"
                " FROM entasis.runs AS r WHERE r.action IN ('refresh', 'compress')"
                " AND r.id > (SELECT id FROM entasis.runs WHERE action = 'dump')"
            ).fetchall()
            if later:
                break
            time.sleep(0.1)
        assert set(later) == {(True,)}


@pytest.mark.skipif(
    not {"postgresql-15", "postgresql-18"} <= {s.name for s in sources()},
    reason="needs 15 and 18",
)
def test_from_one_major_version_to_the_next(server: Server, dumped: Path) -> None:
    if server.source.name != "postgresql-15":
        pytest.skip("it is the older one's dump")
    (newer,) = (s for s in sources() if s.name == "postgresql-18")
    assert newer.bindir is not None
    with bare_cluster(newer.bindir) as cluster:
        with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE copy TEMPLATE template0")
        into = Database(cluster.dsn("copy"), newer)
        restored(into, dumped, program_folder=newer.bindir)
