"""The jobs do their work when they are run, and do no harm when they are run again."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from entasis_db.migrate import migrate
from tests import oracle
from tests.db import Connection, discard, health
from tests.engines import Database, pause_jobs
from tests.make import TODAY, insert_trades, trade
from tests.timescaledb.jobs import job

pytestmark = pytest.mark.hypertables


def insert(connection: Connection, *times: datetime, trade_id: int = 1) -> oracle.Trades:
    insert_trades(connection, *(trade(trade_id, timestamp=when) for when in times))
    return {
        ("BTC", "x", when, trade_id): (trade(trade_id).price, trade(trade_id).volume)
        for when in times
    }


@pytest.fixture
def quiet(connection: Connection) -> Connection:
    """A database whose scheduler leaves its jobs to the test."""
    pause_jobs(connection)
    return connection


def test_the_refresh_job_brings_late_data_into_the_candles(quiet: Connection) -> None:
    refresh = job(quiet, "refresh_job")
    first = TODAY - timedelta(days=3)
    trades = dict(insert(quiet, first, first + timedelta(hours=30)))
    for late in (first + timedelta(seconds=7), first + timedelta(hours=5)):
        for _ in range(2):
            quiet.execute("CALL public.run_job(%s)", [refresh])
            assert not oracle.differences(quiet, trades)
        trades |= insert(quiet, late, trade_id=2)
        # below the watermark: not there before the next refresh
        assert oracle.differences(quiet, trades)
    quiet.execute("CALL public.run_job(%s)", [refresh])
    assert not oracle.differences(quiet, trades)


@pytest.mark.several_connections
def test_a_server_that_merges_when_it_refreshes(quiet: Connection, database: Database) -> None:
    """Merging is turned off where we refresh: with it, the late trade is not in its day."""
    name = quiet.info.dbname
    first = TODAY - timedelta(days=3)
    quiet.execute(f"ALTER DATABASE {name} SET timescaledb.enable_merge_on_cagg_refresh = on")
    with database.connect() as merging:
        trades = dict(insert(merging, first, first + timedelta(hours=30)))
        oracle.refresh(merging)
        trades |= insert(merging, first + timedelta(seconds=7), trade_id=2)
        oracle.refresh(merging)
        assert not oracle.differences(merging, trades)
        setting = "SHOW timescaledb.enable_merge_on_cagg_refresh"
        assert merging.execute(setting).fetchone() == ("on",)


def test_what_is_open_is_not_materialized(quiet: Connection) -> None:
    """A trade of the minute, hour and day of now shows at once, also after a refresh."""
    now = datetime.now(UTC)
    trades = dict(insert(quiet, now))
    quiet.execute("CALL public.run_job(%s)", [job(quiet, "refresh_job")])
    trades |= insert(quiet, datetime.now(UTC), trade_id=2)
    assert not oracle.differences(quiet, trades)


def compressed(connection: Connection) -> dict[str, list[int]]:
    """How the chunks of each relation stand: 0 are rows, 1 columns, 9 columns and some rows."""
    rows = connection.execute(
        "SELECT k.relation, array_agg(_timescaledb_functions.chunk_status(p.partition_oid)"
        " ORDER BY p.from_time)"
        " FROM entasis.keep_periods AS k, entasis_internal.partitions_of(k.relation) AS p"
        " GROUP BY 1"
    ).fetchall()
    return dict(rows)


def test_the_compress_job_takes_what_is_old_and_what_came_late(quiet: Connection) -> None:
    compress, refresh = job(quiet, "compress_job"), job(quiet, "refresh_job")
    old, recent = TODAY - timedelta(days=60), TODAY
    trades = dict(insert(quiet, old, recent))
    quiet.execute(
        "INSERT INTO entasis.option_data"
        " (underlying, strike_price, expiry_date, option_type, timestamp, id, iv)"
        " VALUES ('BTC', 1, now(), 'put', %s, 1, 0.5)",
        [old],
    )
    quiet.execute("CALL public.run_job(%s)", [refresh])
    for _ in range(2):
        quiet.execute("CALL public.run_job(%s)", [compress])
        assert compressed(quiet)["market_data"] == [1, 0]
        assert compressed(quiet)["option_data"] == [1]
        assert compressed(quiet)["ohlcv_1m"][0] == 1
        oracle.assert_candles_are_right(quiet, trades)
    trades |= insert(quiet, old + timedelta(seconds=1), trade_id=2)
    assert compressed(quiet)["market_data"][0] & 8
    oracle.assert_candles_are_right(quiet, trades)
    for _ in range(2):
        quiet.execute("CALL public.run_job(%s)", [compress])
        assert compressed(quiet)["market_data"] == [1, 0]
        assert compressed(quiet)["ohlcv_1m"][0] == 1
        oracle.assert_candles_are_right(quiet, trades)
    # corrected and deleted where they lie
    quiet.execute("UPDATE entasis.market_data SET price = 12 WHERE id = 2")
    oracle.assert_candles_are_right(quiet)
    quiet.execute("DELETE FROM entasis.market_data WHERE id = 1 AND timestamp = %s", [old])
    oracle.assert_candles_are_right(quiet)


def test_a_compress_job_without_an_age_says_what_to_do(quiet: Connection) -> None:
    compress = job(quiet, "compress_job")
    quiet.execute("SELECT public.alter_job(%s, config => '{}')", [compress])
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no compress_after") as refused:
        quiet.execute("CALL public.run_job(%s)", [compress])
    assert "alter_job" in str(refused.value.diag.message_hint)


def test_the_maintain_job_drops_what_is_past_its_keep_period(quiet: Connection) -> None:
    maintain = job(quiet, "maintain_job")
    gone, kept = TODAY - timedelta(days=150), TODAY - timedelta(days=10)
    trades = {**insert(quiet, gone), **insert(quiet, kept)}
    # without an archive nothing is dropped, by the job neither
    quiet.execute("CALL public.run_job(%s)", [maintain])
    assert {key[2] for key in oracle.stored_trades(quiet)} == {gone, kept}
    assert health(quiet, "market_data")["waiting_for_archive"] == 1
    discard(quiet)
    for _ in range(2):
        quiet.execute("CALL public.run_job(%s)", [maintain])
        assert {key[2] for key in oracle.stored_trades(quiet)} == {kept}
        oracle.refresh(quiet)
        assert not oracle.differences(quiet, trades)
    assert quiet.execute(
        "SELECT count(*) FROM entasis.maintenance_log WHERE action = 'drop'"
    ).fetchone() == (1,)
    # a keep period is a row, which the job reads anew each time
    quiet.execute("UPDATE entasis.keep_periods SET keep = '1 day' WHERE relation = 'market_data'")
    discard(quiet, False)
    quiet.execute("CALL public.run_job(%s)", [maintain])
    assert {key[2] for key in oracle.stored_trades(quiet)} == {kept}


def test_what_a_dba_changed_of_a_job_stays(quiet: Connection, database: Database) -> None:
    compress = job(quiet, "compress_job")
    quiet.execute(
        'SELECT public.alter_job(%s, config => \'{"compress_after": "30 days"}\')', [compress]
    )
    migrate(database.dsn)
    assert job(quiet, "compress_job") == compress
    (config,) = quiet.execute(
        "SELECT config FROM timescaledb_information.jobs WHERE job_id = %s", [compress]
    ).fetchone() or (None,)
    assert config == {"compress_after": "30 days"}


@pytest.mark.several_connections
def test_the_scheduler_runs_the_jobs_as_a_role_that_nobody_gets_in_as(
    connection: Connection, database: Database
) -> None:
    refresh = job(connection, "refresh_job")
    owner, can_login, limit = connection.execute(
        "SELECT j.owner::text, r.rolcanlogin, r.rolconnlimit"
        " FROM timescaledb_information.jobs AS j INNER JOIN pg_roles AS r ON r.oid = j.owner"
        " WHERE job_id = %s",
        [refresh],
    ).fetchone() or ("", False, None)
    assert (owner, can_login, limit) == ("entasis_jobs", True, 0)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(psycopg.conninfo.make_conninfo(database.dsn, user="entasis_jobs"))
    connection.execute("SELECT public.alter_job(%s, next_start => now())", [refresh])
    for _ in range(600):
        (runs,) = connection.execute(
            "SELECT total_successes FROM timescaledb_information.job_stats WHERE job_id = %s",
            [refresh],
        ).fetchone() or (0,)
        if runs:
            break
        time.sleep(0.1)
    assert runs, "the scheduler has not run the job for a minute"


@pytest.mark.several_connections
def test_an_administrator_waits_for_the_job(
    connection: Connection, database: Database, login: Any
) -> None:
    first = TODAY - timedelta(days=3)
    trades = dict(insert(connection, first, first + timedelta(hours=30)))
    oracle.refresh(connection)
    trades |= insert(connection, first + timedelta(seconds=7), trade_id=2)
    admin = login("entasis_admin")
    refresh = job(connection, "refresh_job")
    connection.execute(
        "SELECT public.alter_job(%s, schedule_interval => '1 second', next_start => now())",
        [refresh],
    )
    admin.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")
    assert not oracle.differences(connection, trades)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="entasis_owner"):
        admin.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")


REFRESH = """
    CREATE OR REPLACE PROCEDURE entasis_internal.refresh_job(job_id integer, config jsonb)
    LANGUAGE plpgsql AS $$
    DECLARE
        began timestamptz := clock_timestamp();
    BEGIN
        {work}
        RAISE EXCEPTION 'the portal is gone' USING ERRCODE = '24000';
    END $$"""
WORK = """
    CALL entasis.refresh_candles('-infinity', 'infinity');
    INSERT INTO entasis_internal.last_refresh (started_at, finished_at)
    VALUES (began, clock_timestamp()) ON CONFLICT (only_row) DO UPDATE
    SET started_at = excluded.started_at, finished_at = excluded.finished_at;
    COMMIT;"""


def every_second(connection: Connection) -> None:
    connection.execute(
        "SELECT public.alter_job(%s, schedule_interval => '1 second',"
        " retry_period => '1 second', next_start => now())",
        [job(connection, "refresh_job")],
    )


def refresh_run(connection: Connection) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM entasis.jobs WHERE job = 'refresh_job'").fetchone()
    assert row is not None
    return row


@pytest.mark.several_connections
def test_a_job_that_fails_after_its_work_has_refreshed(connection: Connection, login: Any) -> None:
    """As every job does where PostgreSQL breaks them: candles are right, and health says why."""
    first = TODAY - timedelta(days=3)
    trades = dict(insert(connection, first, first + timedelta(hours=30)))
    oracle.refresh(connection)
    trades |= insert(connection, first + timedelta(seconds=7), trade_id=2)
    connection.execute(REFRESH.format(work=WORK).encode())
    every_second(connection)
    admin = login("entasis_admin")
    admin.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")
    assert not oracle.differences(connection, trades)
    pause_jobs(connection)
    while not (run := refresh_run(admin))["failing"]:
        time.sleep(0.1)
    assert "the portal is gone" in run["last_error"]
    assert "24000" in run["last_error"]
    assert run["last_failed_at"] >= run["last_started_at"]
    assert not run["scheduled"]


@pytest.mark.several_connections
def test_a_refresh_that_cannot_come_says_the_jobs_own_error(
    connection: Connection, login: Any
) -> None:
    connection.execute(REFRESH.format(work="").encode())
    every_second(connection)
    admin = login("entasis_admin")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="the portal is gone"):
        admin.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")
    pause_jobs(connection)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="paused"):
        admin.execute("CALL entasis.refresh_candles('-infinity', 'infinity')")
