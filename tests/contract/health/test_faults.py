"""A fault of each kind is found, alone, and under its own name; a database without any is well."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from entasis_db.health import Check, health
from entasis_db.model import Trade
from tests import oracle
from tests.db import Connection, ensure, later, one
from tests.engines import REPOSITORY, Database
from tests.make import THIS_MONTH, insert_trades, months_ago, trade

LONG_AGO = "now() - interval '4 days'"


def over(connection: Connection) -> dict[str, Check]:
    """Return what is not well, but for the settings of a server that tests made to be quick."""
    return {
        found.check: found
        for found in health(connection)
        if found.severity != "ok" and not found.check.startswith("setting_")
    }


def put(connection: Connection, *trades: Trade) -> None:
    """Insert trades of any month."""
    times = [one.timestamp for one in trades]
    ensure(connection, "market_data", min(times), max(times) + timedelta(minutes=1))
    insert_trades(connection, *trades)


def refreshed(connection: Connection, began: datetime) -> None:
    """Note a refresh as the job does: not every server has a scheduler that runs it."""
    connection.execute(
        "INSERT INTO entasis_internal.last_refresh VALUES (true, %s, now())"
        " ON CONFLICT (only_row) DO UPDATE SET started_at = excluded.started_at",
        [began],
    )


@pytest.fixture(scope="module")
def well(shared: Database) -> Iterator[Connection]:
    """A database with trades, maintained, with a backup that was checked."""
    with shared.connect() as connection:
        now = one(connection, "SELECT date_trunc('second', now())")
        put(
            connection,
            *(
                trade(n, timestamp=now - timedelta(minutes=7) * n - timedelta(seconds=30))
                for n in range(300)
            ),
        )
        oracle.refresh(connection)
        if shared.can("hypertables"):
            refreshed(connection, now)
        connection.execute("CALL entasis.maintain()")
        connection.execute("SELECT entasis.end_run(entasis.begin_run('backup check'), 'done')")
        yield connection


@pytest.fixture
def plant(well: Connection) -> Iterator[Connection]:
    """What is planted is taken away again."""
    with well.transaction(force_rollback=True):
        yield well


def test_a_database_without_faults_is_well(well: Connection, shared: Database) -> None:
    assert over(well) == {}
    found = health(well)
    names = [check.check for check in found]
    assert len(names) == len(set(names)) == shared.checks
    assert {"feed_silent", "ingest_lag"} <= {c.check for c in found if c.value is not None}


def test_the_handbook_has_a_heading_for_each(well: Connection, shared: Database) -> None:
    headings = headings_of("health.md")[:52]
    if shared.engine == "citus":
        headings += headings_of("citus/operations.md")
    assert headings == [check.check for check in health(well)]


def headings_of(page: str) -> list[str]:
    lines = (REPOSITORY / "docs" / page).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("### ") for line in lines if line.startswith("### ")]


FAULTS = {
    "quarantined": (
        "INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)"
        " SELECT 'market_data', 'feed', n, 'price', 'no price', '{}' FROM generate_series(1, 100) n"
    ),
    "anomalies_undecided": (
        "INSERT INTO entasis.anomalies (kind, relation, symbol, exchange, begins_at, row_key)"
        " SELECT 'price_spike', 'market_data', 'S', 'x', now(), jsonb_build_object('id', n)"
        " FROM generate_series(1, 50) n;"
        # another check's, decided, gone, or of another kind
        "INSERT INTO entasis.anomalies"
        " (kind, relation, begins_at, row_key, state, decided_at, decided_by)"
        " SELECT kind, 'market_data', now(), jsonb_build_object('id', n, 'is', state), state,"
        " now(), 'me'"
        " FROM generate_series(1, 49) n"
        " CROSS JOIN (VALUES ('refused', 'new'), ('misplaced', 'new'),"
        " ('price_spike', 'dismissed'), ('price_spike', 'gone')) k (kind, state)"
    ),
    "archive_stale": (
        "INSERT INTO entasis.archives"
        " (relation, from_time, to_time, location, row_count, checksum, verified_at, stale_at)"
        " VALUES ('market_data', '2024-01-01Z', '2024-02-01Z', 's3://a', 1, 1, now(), now())"
    ),
    "gone_without_archive": (
        "INSERT INTO entasis_internal.known_partitions"
        " (relation, partition_name, from_time, to_time)"
        " VALUES ('market_data', 'gone', '2019-01-01Z', '2019-02-01Z')"
    ),
    "run_failed": (
        "SELECT entasis.end_run(entasis.begin_run('archive'), 'failed', '{\"error\": \"no\"}')"
    ),
    "maintain_overdue": f"UPDATE entasis.runs SET ended_at = {LONG_AGO}, started_at = {LONG_AGO}"
    " WHERE action = 'maintain'",
    "backup_check_overdue": f"UPDATE entasis.runs SET ended_at = {LONG_AGO},"
    f" started_at = {LONG_AGO} WHERE action = 'backup check'",
    "trigger_disabled": "ALTER TABLE entasis.keep_periods DISABLE TRIGGER USER",
    "row_security_off": "ALTER TABLE entasis.portfolio_status DISABLE ROW LEVEL SECURITY",
    "foreign_owner": "CREATE VIEW entasis.mine AS SELECT 1 AS one;",
    "foreign_grant": "GRANT SELECT ON entasis.quarantine TO public",
    "index_invalid": (
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'entasis.idx_runs_action_started'::regclass"
    ),
    "foreign_key_unindexed": (
        "CREATE TABLE public.child (id int, parent text REFERENCES entasis.keep_periods);"
        "INSERT INTO public.child SELECT n, 'runs' FROM generate_series(1, 1000) n;"
        "ANALYZE public.child"
    ),
    "database_size": "UPDATE entasis.thresholds SET warning = 1 WHERE check_name = 'database_size'",
    "days_left": (
        "UPDATE entasis.thresholds SET critical = pg_database_size(current_database()) + 1000"
        " WHERE check_name = 'database_size';"
        "INSERT INTO entasis_internal.relation_sizes (relation, measured_on, bytes)"
        " VALUES ('predictions', current_date - 10, 0), ('predictions', current_date, 1000000)"
        " ON CONFLICT (relation, measured_on) DO UPDATE SET bytes = excluded.bytes"
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_alone(plant: Connection, name: str) -> None:
    plant.execute(FAULTS[name].encode())
    found = over(plant)
    assert list(found) == [name]
    assert found[name].severity in ("warning", "critical")
    assert found[name].value is not None


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("quarantined", "market_data price"),
        ("anomalies_undecided", "market_data price_spike"),
        ("run_failed", "archive"),
        ("foreign_owner", "entasis.mine of"),
        ("foreign_grant", "SELECT on entasis.quarantine to everybody"),
        ("trigger_disabled", "entasis.keep_periods"),
    ],
)
def test_it_is_named(plant: Connection, name: str, subject: str) -> None:
    plant.execute(FAULTS[name].encode())
    assert (over(plant)[name].subject or "").startswith(subject)


# the id of half the possible ones before, in the circle that they go round
OLDER = (
    "UPDATE pg_database SET {0} = (({0}::text::bigint + 3221225472) % 4294967296)::text::xid"
    " WHERE datname = current_database()"
)
PLANTED = [
    # (check, what is planted, the beginning of its subject)
    (
        "trigger_disabled",
        "ALTER TABLE entasis.keep_periods ENABLE REPLICA TRIGGER refuse_short_candle_keep",
        "entasis.keep_periods",
    ),
    ("foreign_owner", "CREATE DOMAIN entasis.mine AS int", "entasis.mine of "),
    (
        "foreign_grant",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA entasis GRANT SELECT ON TABLES TO pg_monitor",
        "SELECT on what ",
    ),
    (
        "foreign_grant",
        "GRANT UPDATE (reason) ON entasis.quarantine TO pg_monitor",
        "UPDATE on entasis.quarantine.reason to pg_monitor",
    ),
    (
        "foreign_grant",
        "SET LOCAL ROLE entasis_owner;"
        "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON ROUTINES TO public;"
        "CREATE FUNCTION entasis.mine() RETURNS int LANGUAGE sql RETURN 1;"
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM public; RESET ROLE",
        "EXECUTE on entasis.mine() to everybody",
    ),
    (
        "index_invalid",
        "CREATE TABLE public.t (a int) PARTITION BY RANGE (a);"
        "CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES FROM (1) TO (2);"
        "CREATE INDEX t_a ON ONLY public.t (a)",
        "public.t_a",
    ),
    (
        "foreign_key_unindexed",
        "UPDATE entasis.thresholds SET warning = 1 WHERE check_name = 'foreign_key_unindexed';"
        "CREATE TABLE public.parent (id int PRIMARY KEY); INSERT INTO public.parent VALUES (1);"
        "CREATE TABLE public.child (id int REFERENCES public.parent) PARTITION BY RANGE (id);"
        "CREATE TABLE public.child1 PARTITION OF public.child FOR VALUES FROM (1) TO (2);"
        "INSERT INTO public.child VALUES (1); ANALYZE public.child1;",
        "public.child child_id_fkey",
    ),
    (
        "autovacuum_off",
        "CREATE TABLE public.t (a int) WITH (autovacuum_enabled = off)",
        "public.t",
    ),
    (
        "wraparound",
        OLDER.format("datminmxid"),
        "multixacts of database ",
    ),
    (
        "wraparound",
        OLDER.format("datfrozenxid"),
        "transaction ids of database ",
    ),
    (
        "days_left",
        "UPDATE entasis.thresholds SET warning = NULL, critical = NULL"
        " WHERE check_name = 'ids_used';"
        "ALTER SEQUENCE entasis.predictions_id_seq RESTART 8000000000000000000;"
        "SELECT nextval('entasis.predictions_id_seq')",
        "ids of entasis.predictions_id_seq",
    ),
    (
        "trigger_disabled",
        "DROP TRIGGER refuse_short_candle_keep ON entasis.keep_periods",
        "trigger refuse_short_candle_keep on entasis.keep_periods is gone",
    ),
    (
        "trigger_disabled",
        "CREATE OR REPLACE TRIGGER refuse_short_candle_keep AFTER DELETE ON entasis.keep_periods"
        " FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_short_candle_keep()",
        "trigger refuse_short_candle_keep on entasis.keep_periods is another",
    ),
    (
        "object_changed",
        "CREATE OR REPLACE FUNCTION entasis_internal.refuse_truncate() RETURNS trigger"
        " LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END'",
        "routine entasis_internal.refuse_truncate() is another",
    ),
    (
        "object_changed",
        "DROP INDEX entasis.idx_runs_action_started",
        "index entasis.idx_runs_action_started is gone: CREATE INDEX idx_runs_action_started ON",
    ),
    (
        "object_changed",
        "ALTER TABLE entasis.predictions DROP CONSTRAINT predictions_confidence_exact",
        "constraint predictions_confidence_exact of entasis.predictions is gone: CHECK",
    ),
    (
        "object_changed",
        "REVOKE SELECT ON entasis.runs FROM entasis_monitor; RESET ROLE",
        "right SELECT on entasis.runs to entasis_monitor is gone",
    ),
    (
        "row_security_off",
        "CREATE POLICY more ON entasis.portfolio_status USING (true)",
        "policy more on entasis.portfolio_status was added",
    ),
    (
        "row_security_off",
        "DROP POLICY own_positions ON entasis.portfolio_status",
        "policy own_positions on entasis.portfolio_status is gone",
    ),
    pytest.param(
        "foreign_grant",
        "GRANT DELETE ON entasis.market_data TO entasis_reader",
        "DELETE on entasis.market_data to entasis_reader",
        marks=pytest.mark.one_role,
    ),
    # a row that is missing switches nothing off
    (
        "quarantined",
        f"DELETE FROM entasis.thresholds; {FAULTS['quarantined']}",
        "market_data price",
    ),
]


@pytest.mark.parametrize(("name", "statements", "subject"), PLANTED)
def test_what_else_is_planted_is_found(
    plant: Connection, name: str, statements: str, subject: str
) -> None:
    plant.execute(statements.encode())
    found = over(plant)
    assert list(found) == [name]
    assert (found[name].subject or "").startswith(subject)


@pytest.mark.one_role
@pytest.mark.monthly_partitions
@pytest.mark.parametrize(
    ("name", "statement", "subject"),
    [
        (
            "autovacuum_off",
            "ALTER TABLE entasis_internal.{} SET (autovacuum_enabled = off)",
            "entasis_internal.{}",
        ),
        # as DETACH ... CONCURRENTLY leaves it when it is cut short
        (
            "partition_detached",
            "UPDATE pg_inherits SET inhdetachpending = true"
            " WHERE inhrelid = 'entasis_internal.{}'::regclass",
            "option_data {}",
        ),
    ],
)
def test_a_partition_is_not_as_the_others(
    plant: Connection, name: str, statement: str, subject: str
) -> None:
    partition = one(
        plant,
        "SELECT partition_name FROM entasis.partitions WHERE relation = 'option_data'"
        " ORDER BY from_time LIMIT 1",
    )
    plant.execute(statement.format(partition).encode())
    assert over(plant)[name].subject == subject.format(partition)


def test_what_never_ran_is_overdue(plant: Connection) -> None:
    plant.execute("DELETE FROM entasis.runs WHERE action = 'backup check'")
    assert over(plant) == {}
    plant.execute(f"UPDATE entasis.installation SET installed_at = {LONG_AGO}".encode())
    assert "backup_check_overdue" in over(plant)


@pytest.mark.hypertables
def test_a_job_that_is_gone_or_does_not_start(plant: Connection) -> None:
    assert over(plant) == {}
    plant.execute(
        "SELECT public.alter_job(job_id, next_start => now() - interval '2 hours')"
        " FROM timescaledb_information.jobs WHERE proc_name = 'compress_job'"
    )
    found = over(plant)["job_failed"]
    assert (found.subject or "").startswith("compress_job: the scheduler has not started it")
    plant.execute(
        "SELECT public.delete_job(job_id) FROM timescaledb_information.jobs"
        " WHERE proc_name = 'maintain_job'"
    )
    assert "maintain_job is gone" in {
        subject
        for (subject,) in plant.execute("SELECT subject FROM entasis_internal.health_runs()")
    }
    assert list(over(plant)) == ["job_failed"]
    (gone,) = plant.execute("SELECT * FROM entasis.jobs WHERE job = 'maintain_job'").fetchall()
    assert gone[1:3] == (None, False)


@pytest.mark.hypertables
def test_candles_lag(plant: Connection) -> None:
    refreshed(plant, one(plant, f"SELECT {LONG_AGO}"))
    assert list(over(plant)) == ["candle_lag"]


@pytest.mark.native_speed
def test_ids_end(connection: Connection) -> None:
    connection.execute("SELECT setval('entasis.predictions_id_seq', 8000000000000000000)")
    found = over(connection)["ids_used"]
    assert found.subject == "entasis.predictions_id_seq"
    assert found.value is not None
    assert 86 < found.value < 87


def test_since_when(plant: Connection) -> None:
    plant.execute(FAULTS["maintain_overdue"].encode())
    since = over(plant)["maintain_overdue"].since
    assert since == one(plant, f"SELECT {LONG_AGO}")


def test_a_run_whose_session_is_gone_has_failed(plant: Connection) -> None:
    plant.execute("INSERT INTO entasis.runs (action, backend, login) VALUES ('archive', 1, 10)")
    assert list(over(plant)) == ["run_failed"]


def test_the_next_run_that_is_done_ends_it(plant: Connection) -> None:
    plant.execute(FAULTS["run_failed"].encode())
    plant.execute("SELECT entasis.end_run(entasis.begin_run('archive'), 'done')")
    assert over(plant) == {}


def test_a_threshold_is_a_row(plant: Connection) -> None:
    plant.execute(FAULTS["quarantined"].encode())
    for warning, critical, severity in (
        (101, None, None),
        (None, 100, "critical"),
        (1, 101, "warning"),
    ):
        plant.execute(
            "UPDATE entasis.thresholds SET warning = %s, critical = %s"
            " WHERE check_name = 'quarantined'",
            [warning, critical],
        )
        found = over(plant).get("quarantined")
        assert (found and found.severity) == severity


def test_thresholds_are_numbers(plant: Connection) -> None:
    with pytest.raises(Exception, match="thresholds_are_numbers"), plant.transaction():
        plant.execute("UPDATE entasis.thresholds SET warning = 'NaN'")


# ------------------------------------------------------------------ feeds


def hourly(
    connection: Connection, now: datetime, symbol: str, first: int, last: int, every: int = 1
) -> None:
    """Insert trades from so many minutes ago to so many, one each so many minutes."""
    connection.execute(
        "INSERT INTO entasis.market_data (id, symbol, exchange, timestamp, price, volume)"
        " SELECT -n, %s, 'x', %s - n * interval '1 minute', 1, 1"
        " FROM generate_series(%s::int, %s::int, %s::int) AS n",
        [symbol, now, first, last, -every],
    )


def test_a_market_is_silent_by_its_own_rhythm(database: Database, connection: Connection) -> None:
    """Forty minutes are much for one that trades every minute, and nothing for one that sleeps."""
    now = one(connection, "SELECT date_trunc('second', now())")
    day = 24 * 60
    ensure(connection, "market_data", now - timedelta(days=21), now)
    hourly(connection, now, "LIVELY", day + 40, 41)
    hourly(connection, now, "FRESH", day, 1)
    # every day for an hour, and the next day again
    for ago in (2, 1):
        hourly(connection, now, "SLEEPY", ago * day, ago * day - 59)
    # each hour, but for an outage of five days: that is no habit
    hourly(connection, now, "HOURLY", 20 * day, 12 * day, 60)
    hourly(connection, now, "HOURLY", 7 * day, 38 * 60, 60)
    # half an hour on each side of midnight: daily candles show a silence of 23 hours on no day
    midnight = now.replace(hour=0, minute=0, second=0)
    for days in range(5):
        minutes = (now - midnight) // timedelta(minutes=1) + days * day
        hourly(connection, now, "NIGHTLY", minutes + 30, max(minutes - 30, 1))
    oracle.refresh(connection)
    if database.can("hypertables"):
        refreshed(connection, now)
    found = over(connection)["feed_silent"]
    assert (found.subject, found.subjects, found.severity) == ("x LIVELY", 2, "warning")
    assert found.since == now - timedelta(hours=38)
    # of a market that is traded no more, nobody waits for the next trade
    for settings in ('{"is_active": false}', '{"expiry": "2020-01-01T00:00:00Z"}'):
        with connection.transaction(force_rollback=True):
            connection.execute("SELECT entasis.set_market('LIVELY', 'x', %s)", [settings])
            assert over(connection)["feed_silent"].subject == "x HOURLY"
    # who knows its rhythm says so
    connection.execute("SELECT entasis.set_market('FRESH', 'x', '{\"usual_gap\": \"1 second\"}')")
    found = over(connection)["feed_silent"]
    assert (found.subject, found.subjects, found.severity) == ("x FRESH", 3, "critical")


@pytest.mark.native_speed
def test_a_market_that_ended_is_no_feed(connection: Connection) -> None:
    put(connection, trade(1, timestamp=months_ago(2)), trade(2, timestamp=months_ago(2)))
    oracle.refresh(connection)
    assert "feed_silent" not in over(connection)


@pytest.mark.one_role
def test_ingest_lags(plant: Connection) -> None:
    plant.execute(
        f"UPDATE entasis.market_data SET created_at = {later('timestamp', '5 minutes')}"
        " WHERE timestamp > now() - interval '1 hour'"
    )
    found = over(plant)
    assert list(found) == ["ingest_lag"]
    assert found["ingest_lag"].value == 300


@pytest.mark.native_speed
def test_missing_ids(connection: Connection) -> None:
    now = one(connection, "SELECT date_trunc('second', now())")
    connection.execute("SELECT entasis.record_id_space('BTC', 'x', 'trade', 'test')")
    connection.execute("SELECT entasis.set_market('BTC', 'x', '{\"ids_dense\": true}')")
    put(
        connection,
        *(
            trade(n, timestamp=now - timedelta(minutes=100 - n))
            for n in range(1, 100)
            if n not in (50, 51)
        ),
    )
    oracle.refresh(connection)
    found = over(connection)["ids_missing"]
    assert found.value == 2
    assert found.since == now - timedelta(minutes=51)


# ------------------------------------------------------------------ retention


@pytest.mark.native_speed
def test_what_waits_to_be_archived(database: Database, connection: Connection) -> None:
    put(connection, trade(1, timestamp=months_ago(6)))
    connection.execute("CALL entasis.maintain()")
    connection.execute("SELECT entasis.end_run(entasis.begin_run('backup check'), 'done')")
    assert "archive_lag" not in over(connection)
    connection.execute(
        "UPDATE entasis_internal.known_partitions SET first_seen_at = now() - interval '5 days'"
    )
    found = over(connection)
    assert found.keys() & {"archive_lag", "past_keep"} == {"archive_lag"}
    # what needs no archive waits for maintenance alone
    connection.execute("UPDATE entasis.keep_periods SET archived = false")
    assert over(connection).keys() & {"archive_lag", "past_keep"} == {"past_keep"}


@pytest.mark.one_role
@pytest.mark.monthly_partitions
def test_partitions_end_where_one_is_missing(plant: Connection) -> None:
    following = THIS_MONTH + timedelta(days=32)
    name = one(
        plant,
        "SELECT partition_name FROM entasis.partitions"
        " WHERE relation = 'option_data' AND from_time <= %s AND to_time > %s",
        following,
        following,
    )
    plant.execute(
        f"ALTER TABLE entasis.option_data DETACH PARTITION entasis_internal.{name}".encode()
    )
    found = over(plant)
    assert found.keys() == {"partitions_ahead", "partition_detached"}
    assert found["partition_detached"].subject == f"option_data {name}"
    ahead = found["partitions_ahead"]
    assert ahead.subject == "option_data"
    assert ahead.value is not None
    assert 0 <= ahead.value <= 31
