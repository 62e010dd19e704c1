"""The commands on a database with a market, on an empty one, and asked wrongly."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tests import oracle
from tests.contract.cli.support import HEADER, entasis, fails, lines, succeeds
from tests.engines import Database, Server
from tests.make import NOON

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed_when_short]


def test_check_and_rebuild(market: Database) -> None:
    assert "every candle is what its trades say" in succeeds(market, "check")
    with market.connect() as connected:
        oracle.refresh(connected)
        table = oracle.candle_table(connected, "1m")
        connected.execute(f"UPDATE {table} SET high = high + 1 WHERE bucket = %s", [NOON])
    result = entasis(market, "check", "2024-08-01", "2024-09-01")
    assert result.exit_code == 4
    assert result.stdout.splitlines() == ["ohlcv_1m x BTC 2024-08-08 12:00:00 UTC: different"]
    assert (
        "1 candles are wrong. Mend them with: entasis rebuild 2024-08-08 2024-08-09\n"
        in result.stderr
    )
    assert "every candle" in succeeds(market, "check", "2024-08-09")
    said = succeeds(market, "rebuild", "2024-08-08", "2024-08-09")
    assert re.fullmatch(r"rebuilt \d+ minutes in 1 market days\n", said)
    assert "every candle is what its trades say" in succeeds(market, "check")


def test_maintain_and_status(market: Database) -> None:
    assert succeeds(market, "maintain").splitlines()[-1] == "maintained"
    said = succeeds(market, "status")
    assert said.startswith(f"engine {market.engine}, release ")
    assert "0003.market-data" in said
    assert "…" not in said


def test_rollback_is_refused(market: Database) -> None:
    assert "not rolled back" in fails(market, "rollback")


def test_candles_as_a_table(market: Database) -> None:
    asked = ("candles", "BTC", "--exchange", "x", "--interval", "1m", "--last", "3", "--table")
    said = succeeds(market, *asked)
    rows = [re.split(r"\s*│\s*", line)[1:-1] for line in said.splitlines() if "2024" in line]
    # three trades of 0.25 a minute, at prices that go from 100.5 to 106.5 and begin anew
    assert rows[-1] == [
        "2024-08-08 13:59",
        "100.5",
        "102.5",
        "100.5",
        "102.5",
        "0.75",
        "101.50000000",
        "3",
    ]
    assert [row[0][-5:] for row in rows] == ["13:57", "13:58", "13:59"]
    assert "…" not in said


def test_candles_of_a_range_with_gaps_filled(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "sparse.csv"
    path.write_text(HEADER + lines(3, step=timedelta(minutes=2)))
    succeeds(database, "load", "trades", str(path))
    asked = ("candles", "BTC", "--exchange", "x", "--interval", "1m", "--from", "2024-08-08T12:00")
    asked += ("--table",)
    plain = succeeds(database, *asked, "--to", "2024-08-08T12:04")
    filled = succeeds(database, *asked, "--to", "2024-08-08T12:04", "--fill")
    assert re.findall(r"12:0\d", plain) == ["12:00", "12:02"]
    assert re.findall(r"12:0\d", filled) == ["12:00", "12:01", "12:02", "12:03"]


def test_candles_drawn(market: Database) -> None:
    said = succeeds(market, "candles", "BTC", "--exchange", "x", "--interval", "5m", "--draw")
    assert "\x1b" not in said  # no colours where nobody sees them
    drawing = said.splitlines()
    assert drawing[0] == "x BTC 5m"
    assert drawing[1].endswith("  106.5")
    assert "100.5" in said
    assert drawing[-1] == "2024-08-08 12:00 to 2024-08-08 13:55 UTC"
    assert drawing[-2].startswith("12:00")
    assert set(drawing[-3]) <= set("+-= ")
    assert len(drawing[-3].split()) == 24
    assert all(len(line) <= 80 for line in drawing)


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["candles", "NONE", "--exchange", "x"], "no trade of NONE on x is stored", 1),
        (
            ["candles", "BTC", "--exchange", "x", "--to", "2020-01-01"],
            "no trade of BTC on x from",
            1,
        ),
        (
            ["candles", "BTC", "--exchange", "x", "--to", "0001-01-01", "--last", "100000"],
            "no trade",
            1,
        ),
        (["candles", "BTC", "--exchange", "x", "--from", "tomorrow"], "'tomorrow' is no time", 2),
        (
            ["candles", "BTC", "--exchange", "x", "--from", "2024-09-01", "--to", "2024-08-01"],
            "--to 2024-08-01 00:00:00 UTC is not after --from 2024-09-01",
            2,
        ),
        (["candles", "BTC", "--exchange", "x", "--from", "2030-01-01"], "is not after --from", 2),
        (["check", "2024-08-09", "2024-08-08"], "2024-08-08 00:00:00 UTC is not after", 2),
        (["check", "2024-08-08", "2024-08-08"], "is not after", 2),
        (["rebuild", "2024-08-08T12:00", "2024-08-08T11:00"], "is not after", 2),
        (["rebuild", "--force", "2024-08-08", "2024-08-08"], "is not after", 2),
        (["restore", "market_data", "2024-08-08", "2024-08-01"], "is not after", 2),
        (["check", "2024-13-01"], "'2024-13-01' is no time; write 2024-08-08", 2),
        (["rebuild", "2024-08-08", "0001-01-01T00:00+14:00"], "is no time", 2),
        (["load", "trades", "/nowhere/at/all"], "cannot be opened", 1),
    ],
)
def test_what_is_asked_wrongly(
    market: Database, arguments: list[str], said: str, code: int
) -> None:
    assert said in fails(market, *arguments, code=code)


def test_a_database_without_entasis(empty_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(1))
    for arguments in (
        ["check"],
        ["rebuild", "2024-08-08", "2024-08-09"],
        ["maintain"],
        ["load", "trades", str(path)],
        ["candles", "BTC", "--exchange", "x"],
    ):
        assert "Has this database been migrated? entasis migrate" in fails(
            empty_database, *arguments
        )
    assert "Install it with: entasis migrate" in fails(empty_database, "status")


def test_a_login_without_rights(market: Database, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    path.write_text(HEADER + lines(1, "NEW"))
    with server.login("entasis_reader") as (user, password):
        dsn = make_conninfo(market.dsn, user=user, password=password)
        for arguments in (["check"], ["maintain"], ["load", "trades", str(path)]):
            said = fails(dsn, *arguments)
            assert "this login may not do that: permission denied" in said
            assert "checking and archiving entasis_admin" in said
        assert "BTC" in succeeds(dsn, "candles", "BTC", "--exchange", "x")
