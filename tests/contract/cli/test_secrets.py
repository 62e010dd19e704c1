"""No password is shown, whatever the connection string is and whatever fails."""

import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.contract.cli.support import entasis, fails
from tests.engines import Database

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed_when_short]


SECRET = "s3cr3t"


@pytest.mark.parametrize("command", ["check", "status", "migrate"])
@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://nobody:{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:{SECRET}@no-such-host.invalid/db",
        f"host=127.0.0.1,localhost port=1,1 user=nobody password={SECRET} dbname=db",
        f"postgresql://nobody:pass@{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:pass/{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:{SECRET}/word@127.0.0.1:1/db",
        f"postgresql://nobody:12/{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:pass?{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:pass#{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:%zz{SECRET}@127.0.0.1:1/db",
        f"postgresql://[{SECRET}",
        f"host=127.0.0.1 port=1 password=two {SECRET}",
        f"password={SECRET} port={SECRET}",
        f"password='{SECRET}",
        SECRET,
    ],
)
def test_no_error_shows_a_password(dsn: str, command: str) -> None:
    result = entasis(dsn, command)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stderr.count("\n") == 1
    assert SECRET not in result.output


def test_psql_is_not_told_a_password_where_others_see_it(
    market: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def run(command: list[str], env: dict[str, str], check: bool) -> Any:
        told.append((command, env))
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(subprocess, "run", run)
    dsn = make_conninfo(market.dsn, password=SECRET, application_name="it's \\ odd")
    assert entasis(dsn, "psql").exit_code == 7
    ((command, environment),) = told
    assert SECRET not in "".join(command)
    assert environment["PGPASSWORD"] == SECRET
    conninfo = command[1].removeprefix("--dbname=")
    assert conninfo_to_dict(conninfo)["application_name"] == "it's \\ odd"
    assert SECRET not in fails(f"postgresql://u:{SECRET}/x@h/d", "psql")
    assert "service" in fails(f"service=s sslpassword={SECRET}", "psql")


def test_psql_reads_what_decrypts_a_key_from_a_file(
    market: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def run(command: list[str], env: dict[str, str], check: bool) -> Any:
        told.append((command, Path(env["PGSERVICEFILE"]).read_text()))
        # and a client of libpq finds it there
        monkeypatch.setenv("PGSERVICEFILE", env["PGSERVICEFILE"])
        monkeypatch.setenv("PGPASSWORD", env["PGPASSWORD"])
        monkeypatch.setenv("PGHOST", env["PGHOST"])
        monkeypatch.setenv("PGPORT", env["PGPORT"])
        monkeypatch.setenv("PGUSER", env["PGUSER"])
        with psycopg.connect(command[1].removeprefix("--dbname=")) as connection:
            assert connection.info.get_parameters()["sslpassword"] == SECRET
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert entasis(make_conninfo(market.dsn, sslpassword=SECRET), "psql").exit_code == 0
    ((command, file),) = told
    assert SECRET not in "".join(command)
    assert f"sslpassword={SECRET}\n" in file


@pytest.mark.passwords
def test_a_wrong_password_is_not_shown(market: Database) -> None:
    said = fails(make_conninfo(market.dsn, password=SECRET), "check")
    assert "password authentication failed" in said
    assert SECRET not in said
    right = str(conninfo_to_dict(market.dsn)["password"])
    assert right not in said
