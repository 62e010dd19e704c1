"""Every command ends with a code of one table, and the table is what the documents say."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from entasis_db.cli import main
from entasis_db.cli.exit_codes import EXPLAINED, ExitCode
from entasis_db.maintenance import left_over
from tests import oracle
from tests.contract.cli.support import HEADER, entasis, fails, leaves, lines, succeeds
from tests.db import Connection, fire_no_triggers
from tests.engines import REPOSITORY, Database
from tests.make import INSERT_TRADE, months_ago

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]

RANGE = ("2024-08-08", "2024-08-09")


@pytest.fixture
def traded(database: Database, tmp_path: Path) -> Database:
    """Trades of two markets on one day, and of one of them three days later, kept for ever."""
    path = tmp_path / "traded.csv"
    later = lines(4, "BTC", timedelta(days=3) / 3).splitlines(keepends=True)[-1]
    path.write_text(HEADER + lines(30) + lines(3, "ETH") + later.replace(",3,3,", ",99,99,"))
    with database.connect() as connected:
        connected.execute("UPDATE entasis.keep_periods SET keep = NULL")
    succeeds(database, "load", "trades", str(path))
    with database.connect() as connected:
        oracle.refresh(connected)
    return database


def forget(connection: Connection, condition: str) -> None:
    """Let trades be gone that candles still count: on both engines, candles are made of more."""
    with connection.transaction():
        fire_no_triggers(connection)
        for level in oracle.STORED:
            connection.execute(
                f"UPDATE {oracle.candle_table(connection, level)} SET trades = trades + 7"
                f" WHERE {condition}".encode()
            )


def damage(connection: Connection, condition: str) -> None:
    """Make candles wrong."""
    with connection.transaction():
        fire_no_triggers(connection)
        connection.execute(
            f"UPDATE {oracle.candle_table(connection, '1m')} SET low = low - 1"
            f" WHERE {condition}".encode()
        )


def test_every_code_is_explained() -> None:
    table = (REPOSITORY / "docs" / "health.md").read_text()
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \| ", table, re.MULTILINE)
        assert f"{code.value} " in EXPLAINED
    assert [code.value for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert EXPLAINED in " ".join(entasis(None, "--help").stdout.split())


# the doctor ends as monitoring plugins do, and all options of psql are its own: they have tests
@pytest.mark.parametrize("command", sorted(main.deferred.keys() - {"doctor", "psql"}))
def test_a_command_that_is_written_wrongly(command: str) -> None:
    assert entasis(None, command, "--no-such-option").exit_code == ExitCode.USAGE


def test_check_without_a_difference(traded: Database) -> None:
    assert "every candle" in succeeds(traded, "check")


def test_check_with_wrong_candles(traded: Database) -> None:
    with traded.connect() as connected:
        damage(connected, "symbol = 'BTC'")
    result = entasis(traded, "check")
    assert result.exit_code == ExitCode.CANDLES_DIFFER
    # the range that is wrong, not the one that was asked for
    assert result.stderr.endswith("with: entasis rebuild 2024-08-08 2024-08-12\n")
    succeeds(traded, "rebuild", "2024-08-08", "2024-08-12")
    succeeds(traded, "check")


def test_check_with_missing_trades(traded: Database) -> None:
    with traded.connect() as connected:
        forget(connected, "symbol = 'ETH'")
        damage(connected, "symbol = 'BTC'")
    result = entasis(traded, "check")
    assert result.exit_code == ExitCode.TRADES_MISSING
    assert "ohlcv_1m x ETH 2024-08-08 12:00:00 UTC: 7 missing trades\n" in result.stdout
    assert "ohlcv_1m x BTC 2024-08-08 12:00:00 UTC: different\n" in result.stdout
    assert result.stderr.count("\n") == 1
    assert "7 trades are missing that candles of 1 market days count" in result.stderr
    assert "entasis restore market_data 2024-08-08 2024-08-09;" in result.stderr
    # the other day can be mended, and that one not
    assert result.stderr.endswith("with: entasis rebuild 2024-08-11 2024-08-12\n")
    succeeds(traded, "rebuild", "2024-08-11", "2024-08-12")
    result = entasis(traded, "check")
    assert result.exit_code == ExitCode.TRADES_MISSING
    assert result.stderr.endswith("candles are wrong, on days of which trades are missing\n")


def test_rebuild_with_missing_trades(traded: Database) -> None:
    with traded.connect() as connected:
        forget(connected, "symbol = 'ETH'")
        before = oracle.stored_candles(connected)
        said = fails(traded, "rebuild", *RANGE)
        assert "trades are missing: candles of 1 market days" in said
        assert "entasis rebuild --force" in said
        # nobody answers, and so nothing is done
        result = entasis(traded, "rebuild", "--force", *RANGE)
        assert result.exit_code == ExitCode.FAILED
        assert "x ETH 2024-08-08: candles will no longer count 7 trades" in result.stdout
        assert "This cannot be undone. Rebuild?" in result.stderr
        assert oracle.stored_candles(connected) == before
        said = succeeds(traded, "rebuild", "--force", "--yes", *RANGE)
        assert "x ETH 2024-08-08: candles will no longer count 7 trades" in said
        oracle.assert_candles_are_right(connected)
    succeeds(traded, "check")
    # with nothing to lose, it does not ask
    assert succeeds(traded, "rebuild", "--force", *RANGE).startswith("rebuilt ")


def test_load(database: Database, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(HEADER + lines(2))
    bad.write_text(HEADER + lines(2, "ETH") + "x,ETH,1723118400000000000,9,9,-1,1\n")
    succeeds(database, "load", "trades", str(good))
    said = leaves(database, "load", "trades", str(bad), str(good))
    assert "2 rows stored, 0 were there already, 1 in quarantine" in said
    assert "0 rows stored, 2 were there already, 0 in quarantine" in said
    # a file that cannot be read is worse
    result = entasis(database, "load", "trades", str(bad), str(tmp_path / "none.csv"))
    assert result.exit_code == ExitCode.FAILED
    assert fails(database, "load", "options", str(tmp_path / "none.csv"))


def test_maintain(connection: Connection, database: Database) -> None:
    assert succeeds(database, "maintain").splitlines()[-1] == "maintained"
    month = months_ago(5)
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)",
        [month, month + timedelta(days=1)],
    )
    connection.execute(INSERT_TRADE, [1, month, 1])
    connection.execute("UPDATE entasis.keep_periods SET archived = true")
    assert leaves(database, "maintain").splitlines()[-1] == "maintained"
    # what somebody chose to keep there is nothing left over
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
    succeeds(database, "maintain")
    connection.execute("UPDATE entasis.keep_periods SET keep = '3 months', archived = false")
    oracle.refresh(connection)
    # what may go and is there after a run was in use
    assert left_over(connection) > 0
    succeeds(database, "maintain")
    assert left_over(connection) == 0


def test_other_commands(database: Database) -> None:
    """Each is done, or fails and says why; what it cannot do is no partial success."""
    assert "engine" in succeeds(database, "status")
    assert "the database is at release" in succeeds(database, "migrate")
    for command in ("url", "env"):
        assert entasis(database, command).exit_code == ExitCode.DONE
    assert "not rolled back" in fails(database, "rollback")
    assert "no trade of" in fails(database, "candles", "BTC", "--exchange", "x")
    assert "nothing is archived" in succeeds(database, "archive", "list", "--table")
    assert "where is the archive?" in fails(database, "archive", code=ExitCode.USAGE)
    assert "where is the archive?" in fails(
        database, "restore", "market_data", *RANGE, code=ExitCode.USAGE
    )
