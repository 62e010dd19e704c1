"""A dump of the database, restored elsewhere, is the same database."""

import os
import subprocess
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from entasis_db.migrate import migrate, status
from tests import oracle
from tests.catalog import facts, without_chunks
from tests.contract.installation.test_migrations import ROWS, rows
from tests.engines import Database, Server
from tests.servers.cluster import bare_cluster


def run(server: Server, database: Database, program: str, *arguments: str, stdin: bytes) -> bytes:
    """Run one of PostgreSQL's own programs of the server's version on a database."""
    assert server.source.bindir is not None
    parts = conninfo_to_dict(database.dsn)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    done = subprocess.run(
        [str(server.source.bindir / program), "--dbname", str(parts["dbname"]), *arguments],
        env={**os.environ, **{name: str(parts[key]) for key, name in names.items()}},
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.own_cluster
@pytest.mark.pg_dump
@pytest.mark.parametrize("how", [(), ("--load-via-partition-root",)], ids=["plain", "by root"])
def test_dump_and_restore(server: Server, database: Database, how: tuple[str, ...]) -> None:
    with database.connect() as connection:
        connection.execute(ROWS)
        connection.execute("DELETE FROM entasis.market_data WHERE id > 50")
        before, kept = facts(connection), rows(connection)
    dump = run(server, database, "pg_dump", "--format=custom", *how, stdin=b"")
    with server.empty_database() as restored:
        restore(server, restored, dump)
        with restored.connect() as connection:
            assert rows(connection) == kept
            assert wrong_candles(connection) == []
        # The routines' text is PostgreSQL's own, which it does not always read as it wrote it.
        assert migrate(restored.dsn).pending == ()
        with restored.connect() as connection:
            after = facts(connection)
            # and it goes on living
            connection.execute(ROWS.split(";")[0].replace("'BTC'", "'ETH'"))
            oracle.refresh(connection)
            assert wrong_candles(connection) == []
        for kind in before.keys() - {"constraints"}:
            assert without_chunks(after[kind]) == without_chunks(before[kind]), kind
        kept_names, found_names = (names(without_chunks(f["constraints"])) for f in (before, after))
        assert found_names == kept_names


def restore(server: Server, database: Database, dump: bytes) -> None:
    """Restore by hand, as docs/recovery/copies.md tells entasis restore-dump does."""
    options = ["--exit-on-error", "--single-transaction"]
    if database.can("candle_tables"):
        run(server, database, "pg_restore", *options, stdin=dump)
        return
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION timescaledb")
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("SELECT timescaledb_pre_restore()")
    run(server, database, "pg_restore", *options, stdin=dump)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("SELECT timescaledb_post_restore()")


def names(constraints: set[Any]) -> set[Any]:
    # PostgreSQL 18 restores the NOT NULLs of a partition under other names
    return {(table, name) for table, name, *_ in constraints if "not_null" not in name}


def wrong_candles(connection: psycopg.Connection[Any]) -> list[Any]:
    return connection.execute("SELECT * FROM entasis.check_candles()").fetchall()


@pytest.mark.own_cluster
@pytest.mark.pg_dump
@pytest.mark.newest_server
def test_restored_without_its_roles(server: Server, database: Database) -> None:
    """What a careless restore loses is said by status, and mended by migrate."""
    if not database.can("candle_tables"):
        pytest.skip("TimescaleDB restores the owners of its jobs only with the roles")
    with database.connect() as connection:
        connection.execute(ROWS)
        before, kept = facts(connection), rows(connection)
    dump = run(server, database, "pg_dump", "--format=custom", stdin=b"")
    assert server.source.bindir is not None
    with bare_cluster(server.source.bindir) as cluster:
        elsewhere = Database(cluster.dsn("postgres"), server.source)
        with pytest.raises(AssertionError, match="errors ignored on restore"):
            run(server, elsewhere, "pg_restore", "--no-owner", stdin=dump)
        with elsewhere.connect() as connection:
            shown = status(connection).drift
            for said in ("entasis_owner is missing", "belong to", "all_positions on"):
                assert any(said in line for line in shown), shown
            assert len(shown) < 12
            assert all(line.endswith("Mend: entasis migrate") for line in shown)
            assert migrate(elsewhere.dsn).drift == ()
            after = facts(connection)
            assert rows(connection) == kept
        # of rights, which name roles by number, drift has told
        for kind in ("columns", "indexes", "triggers", "policies", "views", "types"):
            assert after[kind] == before[kind], kind
