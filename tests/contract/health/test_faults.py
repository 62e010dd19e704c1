"""A fault of each kind is found, alone, and under its own name; a database without any is well."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from entasis_db.health import Check, health
from entasis_db.model import Trade
from tests import oracle
from tests.db import Connection, ensure, one
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


def test_a_database_without_faults_is_well(well: Connection) -> None:
    assert over(well) == {}
    found = health(well)
    names = [check.check for check in found]
    assert len(names) == len(set(names)) == 45
    assert {"feed_silent", "ingest_lag"} <= {c.check for c in found if c.value is not None}


def test_the_handbook_has_a_heading_for_each(well: Connection) -> None:
    lines = (REPOSITORY / "docs" / "health.md").read_text(encoding="utf-8").splitlines()
    headings = [line.removeprefix("### ") for line in lines if line.startswith("### ")]
    assert headings[:45] == [check.check for check in health(well)]


FAULTS = {
    "quarantined": (
        "INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)"
        " SELECT 'market_data', 'feed', n, 'price', 'no price', '{}' FROM generate_series(1, 100) n"
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
    "trigger_disabled": "ALTER TABLE entasis.markets DISABLE TRIGGER USER",
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
        ("run_failed", "archive"),
        ("foreign_owner", "entasis.mine of"),
        ("foreign_grant", "SELECT on entasis.quarantine to everybody"),
        ("trigger_disabled", "entasis.markets"),
    ],
)
def test_it_is_named(plant: Connection, name: str, subject: str) -> None:
    plant.execute(FAULTS[name].encode())
    assert (over(plant)[name].subject or "").startswith(subject)


def test_what_never_ran_is_overdue(plant: Connection) -> None:
    plant.execute("DELETE FROM entasis.runs WHERE action = 'backup check'")
    assert over(plant) == {}
    plant.execute(f"UPDATE entasis.installation SET installed_at = {LONG_AGO}".encode())
    assert "backup_check_overdue" in over(plant)


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


def minutes(now: datetime, symbol: str, *ago: int) -> list[Any]:
    return [
        trade(n + 1, symbol=symbol, timestamp=now - timedelta(minutes=m)) for n, m in enumerate(ago)
    ]


def test_a_market_is_silent_by_its_own_rhythm(database: Database, connection: Connection) -> None:
    """Forty minutes are much for one that trades every minute, and nothing for one that sleeps."""
    now = one(connection, "SELECT date_trunc('second', now())")
    day = 24 * 60
    lively = minutes(now, "LIVELY", *range(day + 40, 40, -1))
    fresh = minutes(now, "FRESH", *range(day, 0, -1))
    # every day for an hour, and the next day again
    sleepy = minutes(now, "SLEEPY", *range(2 * day, 2 * day - 60, -1), *range(day, day - 60, -1))
    put(connection, *lively, *fresh, *sleepy)
    oracle.refresh(connection)
    if database.can("hypertables"):
        refreshed(connection, now)
    found = over(connection)["feed_silent"]
    assert (found.subject, found.subjects, found.severity) == ("x LIVELY", 1, "warning")
    assert found.since == now - timedelta(minutes=41)


@pytest.mark.native_speed
def test_a_market_that_ended_is_no_feed(connection: Connection) -> None:
    put(connection, trade(1, timestamp=months_ago(2)), trade(2, timestamp=months_ago(2)))
    oracle.refresh(connection)
    assert "feed_silent" not in over(connection)


def test_ingest_lags(plant: Connection) -> None:
    plant.execute(
        "UPDATE entasis.market_data SET created_at = timestamp + interval '5 minutes'"
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
    plant.execute(f"ALTER TABLE entasis.option_data DETACH PARTITION entasis.{name}".encode())
    found = over(plant)["partitions_ahead"]
    assert found.subject == "option_data"
    assert found.value is not None
    assert 0 <= found.value <= 31
