"""What sessions do and settings say, and who may see it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from threading import Barrier
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from entasis_db.health import health
from tests.conftest import Login
from tests.contract.health.attempts import OF_PG_MONITOR
from tests.contract.health.test_faults import over
from tests.db import Connection, one
from tests.engines import Database

pytestmark = pytest.mark.newest_server
several = pytest.mark.several_connections


def warn_at_once(connection: Connection, *names: str) -> None:
    connection.execute(
        "UPDATE entasis.thresholds SET warning = 0 WHERE check_name = ANY(%s)", [list(names)]
    )


@several
def test_a_session_that_is_idle_in_a_transaction(database: Database) -> None:
    with database.connect() as looking, database.connect(autocommit=False) as idle:
        warn_at_once(looking, "idle_in_transaction")
        assert "idle_in_transaction" not in over(looking)
        idle.execute("SELECT 1")
        found = over(looking)["idle_in_transaction"]
        assert found.subject is not None
        assert found.subject.startswith(f"process {idle.info.backend_pid} of ")
        assert found.since is not None


@several
def test_a_session_that_waits_for_a_lock(database: Database) -> None:
    with (
        database.connect() as looking,
        database.connect(autocommit=False) as holding,
        database.connect() as waiting,
    ):
        warn_at_once(looking, "blocked", "transaction_age")
        holding.execute("LOCK TABLE entasis.predictions")
        with waiting.pipeline():
            waiting.execute("SELECT FROM entasis.predictions")
            waiting.pgconn.flush()
            found: dict[str, Any] = {}
            for _ in range(200):
                found = over(looking)
                if "blocked" in found:
                    break
                looking.execute("SELECT pg_sleep(0.01)")
            holding.rollback()
        assert found["blocked"].subject.startswith(f"process {waiting.info.backend_pid} of ")
        # and the one at the head of the queue
        assert f", behind {holding.info.backend_pid} of " in found["blocked"].subject
        assert "transaction_age" in found


@several
def test_connections_are_counted(database: Database) -> None:
    with database.connect() as looking:
        warn_at_once(looking, "connections")
        found = over(looking)["connections"]
        assert found.value is not None
        assert 0 < found.value < 100


@several
@pytest.mark.own_cluster
def test_a_slot_that_nobody_reads(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("SELECT pg_create_physical_replication_slot('gone', true)")
        try:
            warn_at_once(connection, "slot_wal")
            found = over(connection)
            assert found["slot_inactive"].subject == found["slot_wal"].subject == "gone"
        finally:
            connection.execute("SELECT pg_drop_replication_slot('gone')")


@several
@pytest.mark.own_cluster
@pytest.mark.parametrize(
    ("given", "taken", "subject"),
    [
        (
            "GRANT pg_write_all_data TO entasis_reader",
            "REVOKE pg_write_all_data FROM entasis_reader",
            "membership in pg_write_all_data to entasis_reader",
        ),
        (
            "ALTER ROLE entasis_service BYPASSRLS",
            "ALTER ROLE entasis_service NOBYPASSRLS",
            "BYPASSRLS to entasis_service",
        ),
    ],
)
def test_what_a_role_was_given_more(
    connection: Connection, given: str, taken: str, subject: str
) -> None:
    connection.execute(given.encode())
    try:
        assert over(connection)["foreign_grant"].subject == subject
    finally:
        connection.execute(taken.encode())


@several
def test_dead_rows(connection: Connection) -> None:
    connection.execute("""
        CREATE TABLE public.t (id int) WITH (autovacuum_enabled = false);
        INSERT INTO public.t SELECT generate_series(1, 10000);
        DELETE FROM public.t WHERE id <= 4000;
        -- as loaders have
        CREATE TEMPORARY TABLE staged AS SELECT generate_series(1, 10000) AS id;
        DELETE FROM pg_temp.staged;
    """)
    connection.execute("SELECT pg_stat_force_next_flush()")
    found = over(connection)["dead_rows"]
    assert (found.subject, found.value) == ("public.t", 40)


@contextmanager
def setting(database: Database, name: str, value: str) -> Iterator[Connection]:
    """Lend a session of a database with a setting."""
    with database.connect() as connection:
        wanted = sql.SQL("ALTER DATABASE {} {} {}")
        here = sql.Identifier(one(connection, "SELECT current_database()"))
        assignment = sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
        connection.execute(wanted.format(here, assignment, sql.SQL("")))
        with database.connect() as later:
            yield later
        reset = sql.SQL("RESET {}").format(sql.Identifier(name))
        connection.execute(wanted.format(here, reset, sql.SQL("")))


@several
@pytest.mark.parametrize(
    ("check", "name", "value"),
    [
        ("setting_unsafe", "zero_damaged_pages", "on"),
        ("setting_unsafe", "ignore_checksum_failure", "on"),
        ("setting_unsafe", "session_replication_role", "replica"),
        ("setting_unfit", "random_page_cost", "4.5"),
        ("setting_unfit", "timezone", "Asia/Tokyo"),
        ("setting_unfit", "synchronous_commit", "off"),
    ],
)
def test_a_setting(database: Database, check: str, name: str, value: str) -> None:
    with setting(database, name, value) as connection:
        found = {
            subject
            for (subject,) in connection.execute(
                "SELECT subject FROM entasis_internal.health_settings() WHERE check_name = %s",
                [check],
            )
        }
        assert {one.casefold() for one in found} >= {f"{name} = {value}".casefold()}


def of_settings(connection: Connection) -> set[tuple[str, str]]:
    return set(
        connection.execute(
            "SELECT check_name, subject FROM entasis_internal.health_settings()"
        ).fetchall()
    )


@several
@pytest.mark.parametrize(
    ("check", "name", "value"),
    [
        ("setting_unsafe", "session_replication_role", "replica"),
        ("setting_unsafe", "ignore_checksum_failure", "true"),
        ("setting_unfit", "TimeZone", "Asia/Tokyo"),
    ],
)
def test_a_setting_of_a_login(
    login: Login, connection: Connection, check: str, name: str, value: str
) -> None:
    writer = one(login("entasis_writer"), "SELECT session_user")
    here = one(connection, "SELECT current_database()")
    for where in ("", f" IN DATABASE {here}"):
        connection.execute(f"ALTER ROLE {writer}{where} SET {name} = '{value}'".encode())
        assert (check, f"{name} = {value}, of {writer}") in of_settings(connection)
        connection.execute(f"ALTER ROLE {writer}{where} RESET {name}".encode())
    connection.execute(f"ALTER ROLE {writer} SET zero_damaged_pages = false".encode())
    connection.execute(f"ALTER ROLE {writer} SET synchronous_commit = off".encode())
    assert not [subject for _, subject in of_settings(connection) if writer in subject]


@several
@pytest.mark.own_cluster
def test_a_setting_that_waits_for_a_restart(connection: Connection) -> None:
    wanted = ("setting_unfit", "max_pred_locks_per_transaction waits for a restart")
    assert wanted not in of_settings(connection)
    now = one(connection, "SELECT current_setting('max_pred_locks_per_transaction')")
    for assignment, waits in (
        ("SET max_pred_locks_per_transaction = 1000", True),
        (f"SET max_pred_locks_per_transaction = {now}", False),
        ("RESET max_pred_locks_per_transaction", False),
    ):
        connection.execute(f"ALTER SYSTEM {assignment}".encode())
        connection.execute("SELECT pg_reload_conf()")
        for _ in range(200):
            if (wanted in of_settings(connection)) is waits:
                break
            connection.execute("SELECT pg_sleep(0.01)")
        found = of_settings(connection)
        assert (wanted in found) is waits
        # what was given on the command line goes before any file
        assert sum("waits for a restart" in subject for _, subject in found) == int(waits)


@several
def test_a_login_whose_connections_are_at_their_limit(login: Login, connection: Connection) -> None:
    first = login("entasis_reader")
    name = one(first, "SELECT session_user")
    connection.execute(f"ALTER ROLE {name} CONNECTION LIMIT 5".encode())
    with ExitStack() as stack:
        for _ in range(4):
            dsn = make_conninfo(first.info.dsn, password=first.info.password)
            stack.enter_context(psycopg.connect(dsn))
        found = over(connection)["connections"]
        assert (found.subject, found.severity, found.value) == (f"login {name}", "critical", 100)


@several
def test_a_deadlock(database: Database) -> None:
    with database.connect() as looking:
        assert "deadlocks" not in over(looking)
        with ThreadPoolExecutor(2) as threads:
            met = Barrier(2)

            def lock(*keys: int) -> None:
                with database.connect(autocommit=False) as connection:
                    connection.execute("SET deadlock_timeout = '10ms'")
                    connection.execute("SELECT pg_advisory_xact_lock(%s)", [keys[0]])
                    met.wait(10)
                    with suppress(psycopg.errors.DeadlockDetected):
                        connection.execute("SELECT pg_advisory_xact_lock(%s)", [keys[1]])

            list(threads.map(lock, (1, 2), (2, 1)))
        for _ in range(200):
            if "deadlocks" in over(looking):
                break
            looking.execute("SELECT pg_sleep(0.01)")
        assert over(looking)["deadlocks"].value == 1


def test_what_postgresql_sets_is_fit(database: Database) -> None:
    """Of its defaults, none is a fault: the suite's servers differ in what makes them quick."""
    with database.connect() as connection:
        found = connection.execute(
            "SELECT h.setting FROM entasis.settings AS h"
            " INNER JOIN pg_settings AS s ON lower(h.setting) = lower(s.name)"
            " WHERE h.found_by IS NOT NULL AND s.setting = s.boot_val"
        ).fetchall()
        assert found == []


def test_what_a_session_sets_for_itself_says_nothing(connection: Connection) -> None:
    found = "SELECT count(*) FROM entasis_internal.health_settings() WHERE subject LIKE 'Time%%'"
    connection.execute("SET timezone = 'Asia/Tokyo'")
    assert one(connection, found.replace("%%", "%")) == 0


@several
def test_a_monitor_sees_all(login: Login, connection: Connection) -> None:
    monitor = login("entasis_monitor")
    seen, by_superuser = health(monitor), health(connection)
    assert [check.check for check in seen] == [check.check for check in by_superuser]
    assert "unknown" not in {check.severity for check in seen}
    for relation in ("jobs", "lifecycle", "partitions", "runs", "thresholds", "maintenance_log"):
        monitor.execute(f"SELECT * FROM entasis.{relation}".encode())
    monitor.execute("SELECT * FROM entasis.maintenance_plan()")


@several
@pytest.mark.own_cluster
def test_what_it_may_not_see_is_unknown(login: Login, connection: Connection) -> None:
    monitor = login("entasis_monitor")
    connection.execute("REVOKE pg_monitor FROM entasis_monitor")
    try:
        found = {check.check: check for check in health(monitor)}
        unknown = {name for name, check in found.items() if check.severity == "unknown"}
        assert unknown == OF_PG_MONITOR
        assert all(found[name].value is None for name in unknown)
    finally:
        connection.execute("GRANT pg_monitor TO entasis_monitor")


@several
@pytest.mark.parametrize(
    "attempt",
    [
        "UPDATE entasis.thresholds SET warning = 0",
        "DELETE FROM entasis.runs",
        "SELECT entasis.begin_run('maintain')",
        "CALL entasis.maintain()",
        "SELECT * FROM entasis.market_data",
        "SELECT * FROM entasis.quarantine",
        "SELECT entasis.set_market('BTC', 'x', '{}')",
        "SELECT entasis_internal.take_lease('archive')",
        "SELECT entasis_internal.record_sizes()",
    ],
)
def test_a_monitor_changes_and_reads_nothing_else(login: Login, attempt: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        login("entasis_monitor").execute(attempt.encode())


@several
@pytest.mark.parametrize("role", ["entasis_reader", "entasis_writer", "entasis_service"])
def test_others_may_not_look(login: Login, role: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        health(login(role))
