"""Files are loaded: killed, repeated, damaged."""

import gzip
import json
import os
import random
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from entasis_db.errors import LoadError
from entasis_db.ingest import IngestReport, Loaded, load_trades
from tests import oracle
from tests.contract.cli.support import HEADER, entasis, leaves, lines
from tests.engines import Database
from tests.make import NOON

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]


def test_load(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(9) + "x,BTC,1723118400000000000,9,9,0,1\nx,BTC,oops,9,9,1,1\n")
    for stored, there in ((9, 0), (0, 9)):
        said = leaves(database, "load", "trades", str(path))
        assert (
            f"trades.csv (entasis): {stored} rows stored, {there} were there already, "
            "2 in quarantine" in said
        )
        assert "10 timestamps were finer than a microsecond" not in said
        assert "  9 timestamps were finer than a microsecond" in said
        assert "note: 9 rows are past their keep period" in said
        assert "line 11: price: the price 0 is not above 0" in said
        assert "line 12: timestamp: 'oops' is not a number of nanoseconds" in said


def test_load_options(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text(
        "underlying,underlying_last,optionroot,type,expiration,quotedate,strike,last,bid,ask,volume,"
        "openinterest,impliedvol,delta,gamma,theta,vega,optionalias\n"
        "SPY,1,R,put,2021-01-29,2021-01-04,345,1,1,1,1,1,0.28,-0.1,0.009,-0.1,0.2,A\n"
        "SPY,1,R,put,2021-01-29,2021-01-04,NaN,1,1,1,1,1,0.28,-0.1,0.009,-0.1,0.2,A\n"
    )
    said = leaves(database, "load", "options", str(path))
    assert "1 rows stored, 0 were there already, 1 in quarantine" in said
    assert "line 3: strike_price: the strike price NaN is not above 0" in said


def test_load_options_tells_what_it_changed(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text(
        "underlying,strike_price,expiry_date,option_type,timestamp_ns,iv,gamma,rho\n"
        "SPY,345,2021-01-29,put,1609718400000000000,-1,1E-19,nan\n"
    )
    said = entasis(database, "load", "options", "--zone", "America/New_York", str(path)).stdout
    assert "quotes.csv (entasis): 1 rows stored" in said
    assert "1 computed values (volatilities, greeks) had more than 18 decimals" in said
    assert "2 values were no numbers, or no volatility or greek can be so: they are NULL" in said
    again = entasis(database, "load", "options", "--json", "--zone", "America/New_York", str(path))
    assert json.loads(again.stdout) == {
        "source": "quotes.csv",
        "layout": "entasis",
        "truncated_nanoseconds": 0,
        "bytes_read": path.stat().st_size,
        "total_bytes": path.stat().st_size,
        "inserted": 0,
        "already_there": 1,
        "quarantined": 0,
        "past_retention": 0,
        "past_keep": 1,
        "rounded": 1,
        "nulled": 2,
    }
    with database.connect() as connected:
        assert connected.execute(
            "SELECT expiry_date, iv, gamma, rho FROM entasis.option_data"
        ).fetchall() == [(datetime(2021, 1, 30, 4, 59, 59, 999999, UTC), None, 0, None)]
    result = entasis(database, "load", "options", "--zone", "Europe/Atlantis", str(path))
    assert result.exit_code == 2
    assert "there is no zone 'Europe/Atlantis'" in result.stderr


def test_reports_as_lines_of_json(database: Database, tmp_path: Path) -> None:
    for number, count in ((1, 3), (2, 5)):
        (tmp_path / f"{number}.csv").write_text(HEADER + lines(count))
    files = [str(tmp_path / name) for name in ("1.csv", "2.csv")]
    done = entasis(database, "load", "trades", "--json", *files)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["source"], one["inserted"], one["already_there"]) for one in found] == [
        ("1.csv", 3, 0),
        ("2.csv", 2, 3),
    ]
    done = entasis(database, "load", "trades", "--json", "--replace", files[0])
    assert json.loads(done.stdout)["unchanged"] == 3


def test_a_file_that_fails_does_not_keep_the_others_from_being_loaded(
    database: Database, tmp_path: Path
) -> None:
    good = tmp_path / "good.csv"
    good.write_text(HEADER + lines(3))
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((HEADER + lines(20_000, "ETH")).encode())[:-4000])
    files = [empty, tmp_path / "missing.csv", wrong, cut, good]
    result = entasis(database, "load", "trades", *map(str, files))
    assert result.exit_code == 1
    assert "good.csv (entasis): 3 rows stored" in result.stdout
    said = result.stderr.splitlines()
    assert len(said) == 4
    assert "empty.csv, line 1: the file is empty" in said[0]
    assert "missing.csv: cannot be opened: No such file" in said[1]
    assert "wrong.csv, line 1: the layout is not recognised; found" in said[2]
    assert re.search(
        r"cut\.csv\.gz: compressed data ends too early after line \d+; nothing of it was loaded",
        said[3],
    )
    with database.connect() as connected:
        assert connected.execute(
            "SELECT count(*) FROM entasis.market_data WHERE symbol = 'ETH'"
        ).fetchone() == (0,)


def test_a_fault_tells_what_earlier_batches_stored(database: Database, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv"
    cut.write_text(HEADER + lines(20_000) + "x" * 3_000_000)
    with database.connect() as connected:
        loaded: list[Loaded] = []
        with pytest.raises(LoadError) as first:
            load_trades(connected, cut, batch_rows=1000, progress=loaded.append)
        stored = loaded[-1].report.inserted
        assert stored > 1000
        assert f"({stored} rows of it are stored now, 0 were before" in str(first.value)
        with pytest.raises(
            LoadError, match=rf"\(0 rows of it are stored now, {stored} were before"
        ):
            load_trades(connected, cut)


def test_progress_grows(database: Database, tmp_path: Path) -> None:
    # Two markets without ids, whose times go back at the end: the reader begins anew there.
    rows = [f"x,M{n % 2},{1723118400000000000 + n * 1000 + 7},{n},,5,1\n" for n in range(30_000)]
    rows.append(f"x,M0,{1723118400000000000},{30_000},,5,1\n")
    rows.append("broken\n")
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + "".join(rows))
    with database.connect() as connected:
        connected.execute("UPDATE entasis.keep_periods SET keep = NULL")
        seen: list[Loaded] = []
        final = load_trades(connected, path, batch_rows=2000, progress=seen.append)
        assert final == seen[-1]
        assert final.report == IngestReport(30_001, 0, 1)
        assert final.truncated_nanoseconds == 30_000
        assert final.report.past_keep == 0
        assert final.bytes_read == final.total_bytes == path.stat().st_size
        assert len(seen) == 16
        for earlier, later in pairwise(seen):
            assert earlier.report.inserted < later.report.inserted or later is seen[-1]
            assert earlier.bytes_read <= later.bytes_read
            assert earlier.truncated_nanoseconds <= later.truncated_nanoseconds
        # what is said of a batch is not ahead of it
        assert seen[0].truncated_nanoseconds == 2000
        assert load_trades(connected, path).report == IngestReport(0, 30_001, 1)


def test_past_keep_counts_what_is_stored(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(5))
    with database.connect() as connected:
        assert load_trades(connected, path).report.past_keep == 5
        assert load_trades(connected, path).report.past_keep == 5
        # what lies below a floor is gone
        connected.execute("DELETE FROM entasis.market_data")
        connected.execute("UPDATE entasis.floors SET floor = '2024-09-01'")
        loaded = load_trades(connected, path)
        assert loaded.report == IngestReport(past_retention=5)
        assert loaded.report.past_keep == 0
        connected.execute("UPDATE entasis.keep_periods SET keep = '1000 years'")
        assert load_trades(connected, path).report.past_keep == 0
        # further back than a datetime, or PostgreSQL's own times, can tell
        with pytest.raises(psycopg.errors.CheckViolation):
            connected.execute("UPDATE entasis.keep_periods SET keep = '4000 years'")


def test_what_cannot_be_asked_of_the_loader(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(5))
    with (
        database.connect(autocommit=False) as connected,
        pytest.raises(ValueError, match="autocommit"),
    ):
        load_trades(connected, path)
    with database.connect() as connected, pytest.raises(ValueError, match="batch_rows is 0"):
        load_trades(connected, path, batch_rows=0)


def test_a_file_whose_name_is_not_text(database: Database, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.csv")
    path.write_text(HEADER + lines(1) + "broken\n")
    with database.connect() as connected:
        assert load_trades(connected, path).report == IngestReport(1, 0, 1)
        assert connected.execute("SELECT source FROM entasis.quarantine").fetchall() == [
            ("\\xff.csv",)
        ]


STOPPED = """
import sys, psycopg
from entasis_db.ingest import load_trades
def tell(loaded):
    raise SystemExit(f"stopped after {loaded.report.inserted}")
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    load_trades(connection, "-", batch_rows=2, progress=tell)
"""


def test_a_pipe_that_nobody_closes_holds_no_failure_up(database: Database) -> None:
    """The loader must not wait for the rest of a feed when there is no use in it any more."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, database.dsn],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write((HEADER + lines(3)).encode())
        process.stdin.flush()
        try:
            assert process.wait(20) == 1
        finally:
            process.kill()
        assert process.stderr.read().decode() == "stopped after 2\n"


KILLED = """
import sys, psycopg
from entasis_db.ingest import load_trades
def tell(loaded):
    print(loaded.report, flush=True)
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    load_trades(connection, sys.argv[2], batch_rows=100, progress=tell)
"""


@pytest.mark.several_connections
@pytest.mark.long
def test_killed_at_any_moment_and_run_again_is_the_same_as_run_once(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "trades.csv"
    bad = "x,BTC,1723118400000000000,0,0,0,1\n"
    path.write_text(HEADER + lines(3000) + bad + lines(3000, "ETH") + bad)
    chance = random.Random()
    killed = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, database.dsn, str(path)], stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 12)):
                process.stdout.readline()
            threading.Event().wait(chance.uniform(0, 0.02))
            process.kill()
            killed += process.wait() == -9
    assert killed
    with database.connect() as connected:
        report = load_trades(connected, path).report
        assert report.inserted + report.already_there == 6000
        assert report.already_there > 0
        assert report.quarantined == 2
        assert connected.execute(
            "SELECT line, code FROM entasis.quarantine ORDER BY line"
        ).fetchall() == [(3002, "price"), (6003, "price")]
        expected = {
            (symbol, "x", NOON + n * timedelta(seconds=20), n): (
                Decimal(f"{100 + n % 7}.5"),
                Decimal("0.25"),
            )
            for symbol in ("BTC", "ETH")
            for n in range(3000)
        }
        oracle.assert_candles_are_right(connected, expected)
