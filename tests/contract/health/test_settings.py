"""The settings that are advised: the handbook says the same, and the doctor compares them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg import sql

from entasis_db.settings import Setting, settings
from tests.contract.cli.support import entasis
from tests.db import Connection, one
from tests.engines import REPOSITORY, Database

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]

PAGE = REPOSITORY / "docs" / "operations" / "settings.md"


def named(connection: Connection) -> dict[str, Setting]:
    return {setting.setting: setting for setting in settings(connection)}


@contextmanager
def altered(database: Database, what: str, **values: str) -> Iterator[Connection]:
    """Lend a session of a database or login with settings of its own."""
    with database.connect() as connection:
        name = one(
            connection, f"SELECT {'current_user' if what == 'ROLE' else 'current_database()'}"
        )
        target = sql.SQL(f"ALTER {what} {{}} ").format(sql.Identifier(name))
        for setting, value in values.items():
            connection.execute(
                target + sql.SQL("SET {} = {}").format(sql.Identifier(setting), sql.Literal(value))
            )
        try:
            with database.connect() as later:
                yield later
        finally:
            for setting in values:
                connection.execute(target + sql.SQL("RESET {}").format(sql.Identifier(setting)))


def test_the_page_has_the_rows(shared_connection: Connection) -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    advice = shared_connection.execute(
        "SELECT setting, advised, reason FROM entasis_internal.setting_advice() ORDER BY place"
    ).fetchall()
    assert len(advice) > 30
    assert [line for line in lines if line.startswith("| `")] == [
        f"| `{setting}` | `{advised}` | {reason} |" for setting, advised, reason in advice
    ]


@pytest.mark.several_connections
def test_what_is_advised_fits(database: Database) -> None:
    with database.connect() as connection:
        advised = dict(
            connection.execute(
                "SELECT a.setting, a.advised FROM entasis.settings AS a INNER JOIN pg_settings AS s"
                " ON lower(a.setting) = lower(s.name) WHERE s.context = 'user'"
            ).fetchall()
        )
    assert len(advised) > 8
    with altered(database, "DATABASE", **advised) as connection:
        found = named(connection)
        assert [name for name in advised if not found[name].fits] == []


@pytest.mark.several_connections
def test_values_are_compared_in_their_units(database: Database) -> None:
    with altered(
        database,
        "DATABASE",
        work_mem="2MB",
        jit="off",
        effective_cache_size="900GB",
        idle_in_transaction_session_timeout="11min",
        random_page_cost="3",
    ) as connection:
        found = named(connection)
    assert (found["work_mem"].value, found["work_mem"].fits) == ("2048 kB", False)
    assert found["jit"].fits
    assert found["effective_cache_size"].fits
    late = found["idle_in_transaction_session_timeout"]
    assert (late.value, late.fits) == ("660 s", False)
    # differs, and is no fault
    assert (found["random_page_cost"].fits, found["random_page_cost"].found_by) == (False, None)
    assert found["synchronous_commit"].needs_restart is False
    assert found["shared_buffers"].needs_restart is True


@pytest.mark.several_connections
def test_a_logins_own_value_is_nobody_elses(database: Database) -> None:
    with altered(database, "ROLE", statement_timeout="10s", timezone="Asia/Tokyo") as connection:
        found = named(connection)
        for name in ("statement_timeout", "TimeZone"):
            assert (found[name].value, found[name].fits, found[name].found_by) == (None, None, None)


@pytest.mark.several_connections
def test_too_few_locks_for_a_dump_are_found(connection: Connection) -> None:
    setting = "SELECT found_by FROM entasis.settings WHERE setting = 'max_locks_per_transaction'"
    assert one(connection, setting) is None
    with connection.transaction(force_rollback=True):
        connection.execute(
            "DO $$ BEGIN FOR n IN 1..(SELECT 100 * current_setting('max_connections')::int / 100)"
            " LOOP EXECUTE format('CREATE TABLE public.t%s ()', n); END LOOP; END $$"
        )
        text = one(
            connection,
            "SELECT pg_get_functiondef('entasis_internal.setting_advice'::regproc)",
        )
        # as if there were a thousand times as many
        more = text.replace(
            "count(*) FROM pg_class AS c WHERE", "1000 * count(*) FROM pg_class AS c WHERE"
        )
        assert more != text
        connection.execute(more.encode())
        assert one(connection, setting) == "setting_unfit"


def test_the_doctor_compares(database: Database, connection: Connection) -> None:
    connection.execute(
        "UPDATE entasis.thresholds SET warning = NULL, critical = NULL"
        " WHERE check_name LIKE 'setting_%'"
    )
    result = entasis(database, "doctor", "--settings")
    assert result.exit_code == 0
    assert "log_lock_waits: off; advised on, by a reload" in result.stdout
    known = settings(connection)
    well = sum(setting.fits is True for setting in known)
    assert result.stdout.splitlines()[-1] == f"{well} of {len(known)} settings are as advised"
    found = json.loads(entasis(database, "doctor", "--settings", "--json").stdout)
    assert [row["setting"] for row in found] == [setting.setting for setting in known]


def test_one_check_decides_alone(database: Database, connection: Connection) -> None:
    connection.execute("UPDATE entasis.thresholds SET warning = 0 WHERE check_name = 'wraparound'")
    assert entasis(database, "doctor", "--check", "wraparound").exit_code == 1
    result = entasis(database, "doctor", "--check", "run_failed", "--check", "ids_used")
    assert (result.exit_code, result.stdout) == (0, "2 of 2 checks are ok\n")
    result = entasis(database, "doctor", "--check", "rum_failed")
    assert result.exit_code == 3
    assert "there is no check rum_failed" in result.stderr
    assert entasis(database, "doctor", "--check", "ids_used", "--settings").exit_code == 3
