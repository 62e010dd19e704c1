"""A database gets where schema/ says it is: from nothing, twice, with rows, cut short, at once."""

import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from entasis_db import __version__
from entasis_db.errors import MigrationError
from entasis_db.health import health
from entasis_db.migrate import migrate, status
from entasis_db.resources import engines, schema_order, sql_root
from tests.catalog import facts, without_chunks
from tests.contract.health import attempts
from tests.engines import Database, Server, Source
from tests.servers.cluster import bare_cluster


def build_from_schema(database: Database) -> None:
    """Make a database from schema/ alone, as if migrations/ did not exist."""
    order = schema_order(database.engine)
    with database.connect() as connection:
        connection.execute("SET search_path = pg_catalog, pg_temp")
        for file in order.bootstrap:
            connection.execute(file.read_bytes())
        with connection.transaction():
            connection.execute("SET LOCAL ROLE entasis_owner")
            # yoyo makes its ledger itself
            connection.execute(
                "CREATE TABLE entasis_migrations._yoyo_migration (migration_hash varchar(64),"
                " migration_id varchar(255), applied_at_utc timestamp)"
            )
            for file in (*order.state, *order.stateless):
                connection.execute(file.read_bytes())


def test_schema_and_migrations_make_the_same_database(server: Server, database: Database) -> None:
    with server.empty_database() as built:
        build_from_schema(built)
        with built.connect() as one, database.connect() as other:
            from_schema, from_migrations = facts(one), facts(other)
    for kind, made in from_schema.items():
        assert made, f"no {kind} found: the comparison proves nothing"
        assert made == from_migrations[kind], kind


@pytest.mark.parametrize("engine", engines())
def test_every_file_of_the_schema_is_listed_once(engine: str) -> None:
    order = schema_order(engine)
    listed = [*order.bootstrap, *order.state, *order.stateless]
    assert len(listed) == len(set(listed))
    root = sql_root() / "schema"
    # an engine that is built on another has its files too, but for those that its own stand in for
    folders = {file.relative_to(root).parts[0] for file in listed} - {engine}
    own = set((root / engine).rglob("*.sql"))
    instead = {file.relative_to(root / engine) for file in own} if len(folders) > 1 else set()
    present = {
        file
        for folder in folders
        for file in (root / folder).rglob("*.sql")
        if file.relative_to(root / folder) not in instead
    }
    assert present | own == set(listed)


def test_migrations_are_one_chain_of_numbers() -> None:
    root = sql_root() / "migrations"
    files: dict[str, set[str]] = {}
    for file in root.glob("*/*"):
        assert file.suffix == ".sql", f"{file}: yoyo would take it for a migration or pass it over"
        files.setdefault(file.stem, set()).add(file.parent.name)
    previous = None
    for number, name in enumerate(sorted(files), start=1):
        assert re.fullmatch(rf"{number:04}\.[a-z0-9-]+", name)
        # a number is one file for all engines, or one in the folder of each
        assert files[name] in ({"core"}, set(engines())), name
        for folder in files[name]:
            text = (root / folder / f"{name}.sql").read_text()
            depends = re.findall(r"^-- depends: (.*)$", text, re.MULTILINE)
            assert depends == ([previous] if previous else []), name
            # yoyo reads a directive only above the first statement
            assert text.index("SET LOCAL ROLE entasis_owner;") > text.rfind("-- depends:")
        previous = name


def test_migrating_twice_changes_nothing(database: Database) -> None:
    with database.connect() as connection:
        before = facts(connection)
        again = migrate(database.dsn)
        assert facts(connection) == before
    assert again.pending == ()
    assert again.release == __version__


ROWS = """
    INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
    SELECT 'BTC', 'x', now() - n * interval '1 second', n, n, n FROM generate_series(1, 100) AS n;
    INSERT INTO entasis.option_data (underlying, strike_price, expiry_date, option_type, timestamp)
    VALUES ('BTC', 1, now(), 'put', now());
    INSERT INTO entasis.predictions (model_id, symbol, prediction_type, predicted_value, confidence,
        timestamp) VALUES ('m', 'BTC', 'price', 1, 1, now());
    INSERT INTO entasis.portfolio_status (user_id, asset_type, position_size, entry_price,
        current_price, pnl, timestamp) VALUES (gen_random_uuid(), 'BTC', 1, 1, 1, 0, now());
    UPDATE entasis.keep_periods SET keep = '2 years' WHERE relation <> 'market_data';
"""
RELATIONS = (
    "market_data", "option_data", "predictions", "portfolio_status", "ohlcv_1m", "ohlcv_1h",
    "ohlcv_1d", "keep_periods", "floors",
)  # fmt: skip


def rows(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    return {
        relation: connection.execute(
            psycopg.sql.SQL("SELECT r::text FROM entasis.{} AS r ORDER BY 1").format(
                psycopg.sql.Identifier(relation)
            )
        ).fetchall()
        for relation in RELATIONS
    }


def lasting(connection: psycopg.Connection[Any]) -> dict[str, set[Any]]:
    """Return the catalogs but for chunks of candles, which a job may make at any time."""
    return {kind: without_chunks(found) for kind, found in facts(connection).items()}


def test_every_migration_may_run_again_over_rows(database: Database) -> None:
    # yoyo records a migration in a second transaction: a kill in between makes it run again
    with database.connect() as connection:
        connection.execute(ROWS)
        before, kept = lasting(connection), rows(connection)
        assert all(kept.values())
        connection.execute(
            "ALTER TABLE entasis_migrations._yoyo_migration DISABLE TRIGGER refuse_rollback"
        )
        connection.execute("DELETE FROM entasis_migrations._yoyo_migration")
        assert status(connection).pending
        assert migrate(database.dsn).pending == ()
        connection.execute(
            "ALTER TABLE entasis_migrations._yoyo_migration ENABLE TRIGGER refuse_rollback"
        )
        assert lasting(connection) == before
        assert rows(connection) == kept


@pytest.mark.several_connections
def test_two_migrators_at_once(empty_database: Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        # in processes of their own: yoyo keeps its migrations in one registry a process
        runs = [pool.submit(run_migrate, empty_database) for _ in range(2)]
        outputs = [run.result() for run in runs]
    assert [code for code, _ in outputs] == [0, 0], outputs
    with empty_database.connect() as connection:
        applied = connection.execute(
            "SELECT count(*), count(DISTINCT migration) FROM entasis.migrations"
        ).fetchone()
        assert applied is not None
        assert applied[0] == applied[1] == len(status(connection).migrations)


def run_migrate(to: Database) -> tuple[int, str]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "entasis_db"),
            *("--database", to.dsn, "migrate", "--engine", to.engine),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.newest_server
@pytest.mark.several_connections
@pytest.mark.parametrize("moment", [0.02, 0.1, 0.2, 0.3, 0.4, 0.6])
def test_killed_at_any_moment_and_run_again(
    server: Server, database: Database, moment: float
) -> None:
    with server.empty_database() as cut_short:
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, cut_short.dsn, cut_short.engine],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process:
            process.stdout.readline()  # Python has started and imported everything
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
        assert migrate(cut_short.dsn, engine=cut_short.engine).pending == ()
        with cut_short.connect() as one, database.connect() as other:
            assert facts(one) == facts(other)


KILLED = """
import sys
from entasis_db.migrate import migrate
print("ready", flush=True)
migrate(sys.argv[1], engine=sys.argv[2])
"""


def test_a_stale_lock_of_yoyo_is_broken(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO entasis_migrations.yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)"
        )
    assert migrate(database.dsn).pending == ()


def test_another_engine_is_refused(database: Database) -> None:
    with pytest.raises(MigrationError, match="no engine 'sqlite' in this release"):
        migrate(database.dsn, engine="sqlite")
    with database.connect() as connection:
        connection.execute("UPDATE entasis.installation SET engine = 'elsewhere'")
    with pytest.raises(MigrationError, match="engine 'elsewhere', which this release does not"):
        migrate(database.dsn)
    with pytest.raises(MigrationError, match="was made for engine 'elsewhere' and cannot become"):
        migrate(database.dsn, engine=database.engine)


def test_a_newer_database_is_refused(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO entasis_migrations._yoyo_migration"
            " VALUES ('f', '9999.from-the-future', now())"
        )
    with pytest.raises(MigrationError, match=r"9999\.from-the-future.*Upgrade entasis-db"):
        migrate(database.dsn)


def test_rollback_is_refused_whichever_tool_is_asked(database: Database) -> None:
    with database.connect() as connection:
        for statement in (
            "DELETE FROM entasis_migrations._yoyo_migration",
            "UPDATE entasis_migrations._yoyo_migration SET migration_id = 'x'",
            "TRUNCATE entasis_migrations._yoyo_migration",
        ):
            with pytest.raises(
                psycopg.errors.ObjectNotInPrerequisiteState, match="not rolled back"
            ):
                connection.execute(statement)


@pytest.mark.several_connections
def test_a_table_in_use_is_waited_for_and_then_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entasis_db.migrate._LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr("entasis_db.migrate.time.sleep", lambda _: None)
    told: list[str] = []
    with database.connect(autocommit=False) as writer:
        writer.execute("LOCK TABLE entasis.market_data IN ROW EXCLUSIVE MODE")
        with pytest.raises(MigrationError, match="pg_stat_activity"):
            migrate(database.dsn, progress=told.append)
        writer.rollback()
    assert sum("tables are in use" in line for line in told) > 1
    assert migrate(database.dsn).pending == ()


def test_a_password_is_in_no_error(empty_database: Database) -> None:
    secret = "correct-horse-battery-staple"
    for dsn in (
        make_conninfo(empty_database.dsn, password=secret, user="nobody_of_that_name"),
        make_conninfo(empty_database.dsn, password=secret, port="1"),
    ):
        with pytest.raises(MigrationError) as refused:
            migrate(dsn)
        assert secret not in str(refused.value)


def test_status_needs_no_more_than_a_reader(login: Any) -> None:
    found = status(login("entasis_reader"))
    assert found.pending == ()
    assert found.release == __version__


@pytest.mark.own_cluster
@pytest.mark.no_superuser
def test_a_managed_host_without_a_superuser(source: Source) -> None:
    """Somebody who may create roles and databases, and no more, installs on a bare cluster."""
    assert source.bindir is not None
    with bare_cluster(source.bindir, **source.settings) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as superuser:
            superuser.execute("CREATE ROLE desk LOGIN PASSWORD 'desk' CREATEROLE CREATEDB")
            superuser.execute("CREATE DATABASE first OWNER desk")
        dsn = make_conninfo(cluster.dsn("first"), user="desk", password="desk")
        migrate(dsn, engine=source.engine)
        told: list[str] = []
        assert migrate(dsn, progress=told.append).pending == ()
        assert [line for line in told if "restore point" in line] == [
            "there is no restore point to go back to: "
            "permission denied for function pg_create_restore_point"
        ]
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE DATABASE second")
        # the roles are there now, because they belong to the cluster
        second = make_conninfo(dsn, dbname="second")
        assert migrate(second, engine=source.engine).pending == ()
        # what the server shows of itself is not this login's to grant, from PostgreSQL 16 on
        grants = {line for line in told if "GRANT pg_monitor TO entasis_monitor" in line}
        with psycopg.connect(dsn, autocommit=True) as connection:
            lacks = connection.info.server_version >= 160000
            assert [line.startswith("warning: ") for line in grants] == [True] * lacks
            connection.execute("CREATE ROLE eye LOGIN PASSWORD 'eye' IN ROLE entasis_monitor")
        _a_monitor_sees_all_and_changes_nothing(
            make_conninfo(dsn, user="eye", password="eye"), cluster.dsn("first"), lacks=lacks
        )
        told.clear()
        migrate(dsn, progress=told.append)
        assert not [line for line in told if "pg_monitor" in line]
        _comments_of_roles_are_their_makers(dsn, cluster.dsn("first"))


def _comments_of_roles_are_their_makers(dsn: str, superuser: str) -> None:
    """Whoever may not comment on the roles, which another login has made, goes on without."""
    roles = (sql_root() / "schema" / "core" / "bootstrap" / "roles.sql").read_bytes()
    said = "SELECT shobj_description('entasis_reader'::regrole, 'pg_authid')"
    with psycopg.connect(superuser, autocommit=True) as connection:
        ours = connection.execute(said).fetchone()
        connection.execute("CREATE ROLE other LOGIN PASSWORD 'other'")
        connection.execute("GRANT entasis_owner TO other")
        connection.execute("COMMENT ON ROLE entasis_reader IS 'of another'")
        for user, expected in (("other", ("of another",)), ("desk", ours)):
            own = make_conninfo(dsn, user=user, password=user)
            with psycopg.connect(own, autocommit=True) as session:
                session.execute(roles)
            assert connection.execute(said).fetchone() == expected


def _a_monitor_sees_all_and_changes_nothing(eye: str, superuser: str, *, lacks: bool) -> None:
    with (
        psycopg.connect(eye, autocommit=True) as monitor,
        psycopg.connect(superuser, autocommit=True) as other,
    ):
        unknown = {check.check for check in health(monitor) if check.severity == "unknown"}
        assert unknown == (attempts.OF_PG_MONITOR if lacks else set())
        other.execute("GRANT pg_monitor TO entasis_monitor")
        assert "unknown" not in {check.severity for check in health(monitor)}
        assert attempts.seen(monitor) == attempts.seen(other)
        attempts.writes_nothing(monitor)
        assert list(attempts.changes(monitor, other.info.backend_pid)) == []
        other.execute("GRANT UPDATE (detail), TRUNCATE ON entasis.runs TO entasis_monitor")
        other.execute("GRANT EXECUTE ON FUNCTION entasis.begin_run TO entasis_monitor")
        other.execute("GRANT CREATE ON SCHEMA public TO entasis_monitor")
        other.execute("GRANT entasis_writer TO eye")
        found = attempts.rights(monitor)
        assert any(right.startswith("entasis.begin_run(") for right in found)
        assert set(found) > {
            "UPDATE on entasis.runs.detail",
            "TRUNCATE on entasis.runs",
            "CREATE in public",
            "SET ROLE entasis_writer",
            "INSERT on entasis.market_data",
            "USAGE on entasis.predictions_id_seq",
        }
