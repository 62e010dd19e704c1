"""The doctor ends as monitoring plugins do, and says what is wrong."""

import json
from decimal import Decimal

import pytest

from tests.contract.cli.support import entasis
from tests.db import Connection
from tests.engines import Database

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]
FIELDS = {"check", "severity", "value", "threshold", "since", "advice"}


@pytest.fixture
def well(database: Database, connection: Connection) -> Database:
    """A database whose candles are fresh, on a server with the settings that it should have.

    The suite's servers are set up to be quick, and not all of them have a scheduler.
    """
    connection.execute(
        "UPDATE entasis.thresholds SET warning = NULL, critical = NULL"
        " WHERE check_name LIKE 'setting_%' OR check_name = 'candle_lag'"
    )
    return database


def plant(connection: Connection, warning: int | None, critical: int | None) -> None:
    connection.execute(
        "UPDATE entasis.thresholds SET warning = %s, critical = %s WHERE check_name = 'wraparound'",
        [warning, critical],
    )


def test_nothing_is_wrong(well: Database) -> None:
    result = entasis(well, "doctor")
    assert (result.exit_code, result.stdout) == (
        0,
        f"{well.checks} of {well.checks} checks are ok\n",
    )


@pytest.mark.parametrize(
    ("warning", "critical", "code", "word"), [(0, None, 1, "WARNING"), (None, 0, 2, "CRITICAL")]
)
def test_it_says_what_to_do(
    well: Database,
    connection: Connection,
    warning: int | None,
    critical: int | None,
    code: int,
    word: str,
) -> None:
    plant(connection, warning, critical)
    result = entasis(well, "doctor")
    assert result.exit_code == code
    said, measures, do, rest = result.stdout.splitlines()
    assert said.startswith(f"{word} wraparound: ")
    assert "(threshold 0)" in said
    assert measures.strip().startswith("age of the oldest transaction id")
    assert do.strip().startswith("do: VACUUM (FREEZE)")
    assert do.endswith("See docs/operations/on-call.md#wraparound")
    assert rest == f"{well.checks - 1} of {well.checks} checks are ok"


def test_json_is_a_list_of_objects(well: Database, connection: Connection) -> None:
    plant(connection, 0, None)
    result = entasis(well, "doctor", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert len(found) == well.checks
    assert all(one.keys() >= FIELDS for one in found)
    (over,) = [one for one in found if one["severity"] != "ok"]
    assert (over["check"], over["severity"], over["threshold"]) == ("wraparound", "warning", "0")
    assert Decimal(over["value"]) >= 0


@pytest.mark.parametrize("arguments", [["--yaml"], ["more"]])
def test_called_wrongly_it_does_not_know(well: Database, arguments: list[str]) -> None:
    result = entasis(well, "doctor", *arguments)
    assert result.exit_code == 3
    assert "Usage:" in result.stderr


def test_without_a_server_it_does_not_know() -> None:
    result = entasis("postgresql://nobody@127.0.0.1:1/none", "doctor")
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1


def test_a_database_that_is_not_migrated(empty_database: Database) -> None:
    result = entasis(empty_database, "doctor")
    assert result.exit_code == 3
    assert "entasis migrate" in result.stderr
