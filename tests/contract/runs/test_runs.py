"""The log of runs: a row for each, whatever became of it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import errors

from entasis_db import maintenance, runs
from entasis_db.errors import EntasisError, MigrationError
from entasis_db.migrate import migrate
from tests.conftest import Login
from tests.contract.cli.support import succeeds
from tests.contract.retention.support import keep
from tests.db import Connection, one
from tests.engines import Database

pytestmark = pytest.mark.native_speed_when_short

LOG = "SELECT action, outcome, ended_at >= started_at, detail FROM entasis.runs WHERE id > %s"


@pytest.fixture
def last(connection: Connection) -> int:
    """The last run before the test: migration leaves one."""
    return int(one(connection, "SELECT coalesce(max(id), 0) FROM entasis.runs"))


def since(connection: Connection, last: int) -> list[tuple[Any, ...]]:
    return connection.execute(LOG + " ORDER BY id", [last]).fetchall()


def wait_until_gone(connection: Connection, backend: int) -> None:
    """A session ends a moment after its connection is closed."""
    until = time.monotonic() + 10
    while one(connection, "SELECT count(*) FROM pg_stat_get_activity(%s)", backend):
        assert time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def broken(connection: Connection) -> Iterator[None]:
    """Let nothing be deleted from quarantine, which is what maintenance comes to last."""
    keep(connection, quarantine="1 day")
    connection.execute("""
        UPDATE entasis.keep_periods SET archived = false WHERE relation = 'quarantine';
        INSERT INTO entasis.quarantine
            (quarantined_at, relation, source, line, code, reason, payload)
        VALUES (now() - interval '2 days', 'market_data', 's', 1, 'price', 'r', '{}');
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'not that row'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON entasis.quarantine
        FOR EACH ROW EXECUTE FUNCTION public.refuse();
    """)
    yield
    connection.execute("DROP FUNCTION public.refuse CASCADE")


def test_maintenance_by_sql(connection: Connection, last: int) -> None:
    connection.execute("CALL entasis.maintain()")
    connection.execute("CALL entasis.maintain()")
    first, second = since(connection, last)
    assert first[:3] == second[:3] == ("maintain", "done", True)
    # nothing was left to do for the second
    assert second[3] == {}


def test_maintenance_from_outside(connection: Connection, last: int) -> None:
    keep(connection, market_data="1 month", ohlcv_1m="2 years", ohlcv_1h="2 years")
    maintenance.maintain(connection)
    ((action, outcome, ended, detail),) = since(connection, last)
    assert (action, outcome, ended) == ("maintain", "done", True)
    logged = connection.execute(
        "SELECT action, count(*) FROM entasis.maintenance_log"
        " WHERE logged_at >= (SELECT started_at FROM entasis.runs WHERE id > %s) GROUP BY 1",
        [last],
    ).fetchall()
    assert detail == dict(logged)


@pytest.mark.copy
def test_what_fails_keeps_its_row(connection: Connection, last: int) -> None:
    with broken(connection):
        with pytest.raises(errors.RaiseException):
            maintenance.maintain(connection)
        with pytest.raises(errors.RaiseException):
            connection.execute("CALL entasis.maintain()")
    outside, inside = since(connection, last)
    assert outside[:2] == ("maintain", "failed")
    assert outside[3]["error"] == "not that row (SQLSTATE P0001)"
    # nobody could say so for a CALL: the next run of this session does
    assert inside[:3] == ("maintain", None, None)
    connection.execute("CALL entasis.maintain()")
    _, inside, after = since(connection, last)
    assert inside[:2] == ("maintain", "failed")
    assert "server log" in inside[3]["error"]
    assert after[:2] == ("maintain", "done")


def test_what_dies_is_found_by_the_next(
    connection: Connection, database: Database, last: int
) -> None:
    with database.connect() as other:
        died, backend = one(other, "SELECT entasis.begin_run('archive')"), other.info.backend_pid
        if database.can("several_connections"):
            connection.execute("CALL entasis.maintain()")
            assert since(connection, last)[0][:3] == ("archive", None, None)
    if not database.can("several_connections"):
        return
    wait_until_gone(connection, backend)
    connection.execute("CALL entasis.maintain()")
    assert since(connection, last)[0][:3] == ("archive", "died", None)
    # one that was taken for dead may still say how it ended
    connection.execute("SELECT entasis.end_run(%s, 'done', '{\"ranges\": 2}')", [died])
    assert since(connection, last)[0] == ("archive", "done", True, {"ranges": 2})
    with pytest.raises(errors.NoDataFound, match="has ended"):
        connection.execute("SELECT entasis.end_run(%s, 'failed')", [died])


def test_what_went_wrong_is_told_without_secrets(connection: Connection, last: int) -> None:
    def fails(error: BaseException) -> None:
        with pytest.raises(type(error)), runs.recorded(connection, "restore") as (_, detail):
            detail["ranges"] = 1
            raise error

    fails(EntasisError("the store is away"))
    fails(ValueError("password=x"))
    fails(KeyboardInterrupt())
    with pytest.raises(errors.UndefinedTable), runs.recorded(connection, "restore"):
        connection.execute("SELECT FROM nowhere")
    told = [detail["error"] for _, outcome, _, detail in since(connection, last) if outcome]
    assert told == [
        "the store is away",
        "ValueError",
        "it was interrupted",
        'relation "nowhere" does not exist (SQLSTATE 42P01)',
    ]
    assert since(connection, last)[0][3]["ranges"] == 1


def test_migrations(empty_database: Database) -> None:
    began = datetime.now(UTC)
    told: list[str] = []
    for _ in range(2):
        migrate(empty_database.dsn, engine=empty_database.engine, progress=told.append)
    with empty_database.connect() as connection:
        found = runs.runs(connection, "migrate")
        assert [(run.action, run.outcome) for run in found] == [("migrate", "done")] * 2
        assert began - timedelta(seconds=1) <= found[1].started_at <= found[0].started_at
        # where nothing is installed, there is nothing to go back to
        assert "restore_point" not in found[1].detail
        point = found[0].detail["restore_point"]
        assert told.count(f"restore point: {point}") == 1
        assert sum(line.startswith("restore point") for line in told) == 1
        connection.execute("DROP VIEW entasis.lifecycle")
        connection.execute("CREATE TABLE entasis.lifecycle ()")
        with pytest.raises(MigrationError):
            migrate(empty_database.dsn)
        failed = runs.runs(connection, "migrate", limit=1)[0]
    assert failed.outcome == "failed"
    assert "lifecycle" in failed.detail["error"]
    assert failed.detail["restore_point"] > point


def test_rows_past_their_keep_period_go(connection: Connection) -> None:
    connection.execute("""
        INSERT INTO entasis.runs (action, started_at, ended_at, outcome, login)
        SELECT 'restore', t, t, o, 'entasis_owner'::regrole FROM (VALUES
            (now() - interval '91 days', 'done'), (now() - interval '89 days', 'done')
        ) AS v (t, o)
    """)
    connection.execute("CALL entasis.maintain()")
    assert one(connection, "SELECT count(*) FROM entasis.runs WHERE action = 'restore'") == 1


def test_who_may(connection: Connection, login: Login) -> None:
    with login("entasis_writer") as writer:
        for statement in ("SELECT FROM entasis.runs", "SELECT entasis.begin_run('maintain')"):
            with pytest.raises(errors.InsufficientPrivilege):
                writer.execute(statement.encode())
    with login("entasis_admin") as admin:
        maintenance.maintain(admin)
        assert runs.runs(admin, "maintain")[0].outcome == "done"
        with pytest.raises(errors.InsufficientPrivilege):
            admin.execute("UPDATE entasis.runs SET outcome = 'done'")
        with pytest.raises(errors.CheckViolation):
            admin.execute("SELECT entasis.begin_run('anything')")


@pytest.mark.hypertables
def test_refreshes_and_compression(connection: Connection, last: int) -> None:
    connection.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")
    connection.execute('CALL entasis_internal.compress_job(0, \'{"compress_after": "7 days"}\')')
    refresh, compress = since(connection, last)
    assert refresh[:3] == ("refresh", "done", True)
    assert refresh[3]["candles"] == "changed"
    assert compress == ("compress", "done", True, {})


def test_the_command(database: Database, connection: Connection) -> None:
    succeeds(database, "maintain")
    listed = json.loads(succeeds(database, "runs", "--json", "--action", "maintain"))
    assert [run["outcome"] for run in listed] == ["done"]
    assert set(listed[0]) == {"id", "action", "started_at", "ended_at", "outcome", "detail"}
    assert datetime.fromisoformat(listed[0]["ended_at"]) <= datetime.now(UTC)
    connection.execute("SELECT entasis.begin_run('archive')")
    shown = succeeds(database, "runs", "--table")
    assert "maintain" in shown
    assert "not ended" in shown
    connection.execute("DELETE FROM entasis.runs")
    assert succeeds(database, "runs", "--table").strip() == "nothing has run yet"
