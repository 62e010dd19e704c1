"""The command line, and the loader behind it: killed, repeated, damaged, and asked wrongly."""

import gzip
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db import queries
from entasis_db.chart import draw
from entasis_db.cli import main
from entasis_db.errors import LoadError
from entasis_db.ingest import IngestReport, Loaded, load_trades
from tests import oracle
from tests.engines import Database, Server

pytestmark = pytest.mark.copy

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
HEADER = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"


def stamp(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def lines(count: int, symbol: str = "BTC", step: timedelta = timedelta(seconds=20)) -> str:
    """Trades whose price goes up and down."""
    return "".join(
        f"x,{symbol},{stamp(NOON + n * step) + 7},{n},{n},{100 + n % 7}.5,0.25\n"
        for n in range(count)
    )


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Database]:
    """A database with two hours of trades of BTC on x."""
    with server.database() as lent:
        with lent.connect() as connected:
            connected.execute("UPDATE entasis.keep_periods SET keep = NULL")
        yield lent


@pytest.fixture
def market(shared: Database, tmp_path: Path) -> Database:
    """The same, with its candles as they ought to be."""
    path = tmp_path / "market.csv"
    path.write_text(HEADER + lines(360))
    with shared.connect() as connected:
        load_trades(connected, path)
        connected.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
    return shared


def entasis(database: Database | str | None, *arguments: str) -> Result:
    dsn = database.dsn if isinstance(database, Database) else database
    return CliRunner().invoke(main, [*(("--database", dsn) if dsn else ()), *arguments])


def succeeds(database: Database | str | None, *arguments: str) -> str:
    result = entasis(database, *arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def fails(database: Database | str | None, *arguments: str, code: int = 1) -> str:
    """Answer the one line that says why."""
    result = entasis(database, *arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code
    assert result.stderr.startswith("entasis: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removesuffix("\n")


# --- loading ---------------------------------------------------------------------------------


def test_load(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(9) + "x,BTC,1723118400000000000,9,9,0,1\nx,BTC,oops,9,9,1,1\n")
    for stored, there in ((9, 0), (0, 9)):
        said = succeeds(database, "load", "trades", str(path))
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
    said = succeeds(database, "load", "options", str(path))
    assert "1 rows stored, 0 were there already, 1 in quarantine" in said
    assert "line 3: strike_price: the strike price NaN is not above 0" in said


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
    match = re.search(
        r"cut\.csv\.gz: compressed data ends too early after line (\d+); .*"
        r"\((\d+) rows of it are stored now, 0 were before, 0 are in quarantine\)",
        said[3],
    )
    assert match
    last_line, stored = map(int, match.groups())
    assert stored == last_line - 1 > 1000  # all lines before the cut but the header
    with database.connect() as connected:
        assert connected.execute(
            "SELECT count(*) FROM entasis.market_data WHERE symbol = 'ETH'"
        ).fetchone() == (stored,)


def test_a_fault_tells_what_earlier_batches_stored(database: Database, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((HEADER + lines(20_000)).encode())[:-4000])
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
        assert final.past_keep == 0
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
        assert load_trades(connected, path).past_keep == 5
        assert load_trades(connected, path).past_keep == 5
        # what lies below a floor is gone
        connected.execute("DELETE FROM entasis.market_data")
        connected.execute("UPDATE entasis.floors SET floor = '2024-09-01'")
        loaded = load_trades(connected, path)
        assert (loaded.report, loaded.past_keep) == (IngestReport(0, 0, 5), 0)
        connected.execute("UPDATE entasis.keep_periods SET keep = '1000 years'")
        assert load_trades(connected, path).past_keep == 0
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


# --- the other commands ----------------------------------------------------------------------


def test_check_and_rebuild(market: Database) -> None:
    assert "every candle is what its trades say" in succeeds(market, "check")
    with market.connect() as connected:
        oracle.refresh(connected)
        table = oracle.candle_table(connected, "1m")
        connected.execute(f"UPDATE {table} SET high = high + 1 WHERE bucket = %s", [NOON])
    result = entasis(market, "check", "2024-08-08", "2024-08-09")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["ohlcv_1m x BTC 2024-08-08 12:00:00 UTC: different"]
    assert "1 candles are wrong. Mend them with: entasis rebuild FROM TO" in result.stderr
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
    said = succeeds(market, "candles", "BTC", "--exchange", "x", "--interval", "1m", "--last", "3")
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
        (["candles", "BTC", "--exchange", "x", "--from", "yesterday"], "'yesterday' is no time", 2),
        (
            ["candles", "BTC", "--exchange", "x", "--from", "2024-09-01", "--to", "2024-08-01"],
            "--to 2024-08-01 00:00:00 UTC is not after --from 2024-09-01",
            2,
        ),
        (["candles", "BTC", "--exchange", "x", "--from", "2030-01-01"], "is not after --from", 2),
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
def test_no_error_shows_a_password(market: Database, dsn: str, command: str) -> None:
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
    assert conninfo_to_dict(command[1])["application_name"] == "it's \\ odd"
    assert SECRET not in fails(f"postgresql://u:{SECRET}/x@h/d", "psql")


def test_a_wrong_password_is_not_shown(market: Database) -> None:
    said = fails(make_conninfo(market.dsn, password=SECRET), "check")
    assert "password authentication failed" in said
    assert SECRET not in said
    right = str(conninfo_to_dict(market.dsn)["password"])
    assert right not in said


def test_a_login_without_rights(market: Database, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    path.write_text(HEADER + lines(1, "NEW"))
    with server.login("entasis_reader") as (user, password):
        dsn = make_conninfo(market.dsn, user=user, password=password)
        for arguments in (["check"], ["maintain"], ["load", "trades", str(path)]):
            assert "this login may not do that: permission denied" in fails(dsn, *arguments)
        assert "BTC" in succeeds(dsn, "candles", "BTC", "--exchange", "x")


# --- the drawing itself ------------------------------------------------------------------------


def candle(minute: int, *prices: str) -> queries.Candle:
    at = NOON + timedelta(minutes=minute)
    return queries.Candle(
        "BTC", "x", at, *map(Decimal, prices), Decimal(1), Decimal(1), 1, at, 1, at, 1
    )


@pytest.fixture
def rising_and_falling() -> list[queries.Candle]:
    # open, high, low, close; 8 lines are 10 half-lines of price
    return [candle(0, "101", "109", "100", "105"), candle(1, "109", "109", "104", "105")]


def test_bodies_wicks_and_labels(rising_and_falling: list[queries.Candle]) -> None:
    drawn = draw(rising_and_falling, 40, 8)
    assert [line.rstrip() for line in drawn.plain.splitlines()] == [
        "│   ┃     109",
        "│   ┃",
        "┃   ╿",
        "┃",
        "╿         100",
        "+   -",
        "12:00",
        "2024-08-08 12:00 to 2024-08-08 12:01 UTC",
    ]
    colours = {str(span.style) for span in drawn.spans if drawn.plain[span.start] in "┃│╽╿+-╵"}
    assert colours == {"green", "red"}


def test_a_price_that_never_moves(rising_and_falling: list[queries.Candle]) -> None:
    drawn = draw([candle(n, "7", "7", "7", "7") for n in range(3)], 40, 8).plain.splitlines()
    assert sum("╹" in line or "╻" in line for line in drawn) == 1
    assert [line.split()[-1] for line in drawn[:5] if line.strip()] == ["7"]
    assert drawn[5].split() == ["=", "=", "="]


@pytest.mark.parametrize(("width", "shown"), [(80, 60), (25, 18), (3, 1)])
def test_only_the_newest_candles_that_fit(width: int, shown: int) -> None:
    drawn = draw([candle(n, "1", "12.25", "1", "2") for n in range(60)], width, 12).plain
    assert drawn.splitlines()[-3].count("+") == shown
    if shown < 60:
        assert drawn.endswith(f"to 2024-08-08 12:59 UTC, the newest {shown} of 60")
    assert len(drawn.splitlines()) == 12


def test_labels_have_the_decimals_they_need() -> None:
    drawn = draw([candle(0, "0.00001201", "0.0000125", "0.000012", "0.00001249")], 60, 20).plain
    labels = [float(line.split()[-1]) for line in drawn.splitlines()[:17] if " 0." in line]
    assert labels[0] == 0.0000125
    assert labels[-1] == 0.000012
    assert labels == sorted(set(labels), reverse=True)
    assert "E" not in drawn
