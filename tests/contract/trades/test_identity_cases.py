"""What failed: trades told twice, published again, or cut in two, read where they lie."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from entasis_db.errors import LoadError
from entasis_db.ingest import IngestReport, load_trades, replace_trades
from tests import oracle
from tests.contract.trades.support import counts, everything, quarantined
from tests.db import Connection
from tests.engines import Database
from tests.make import D

pytestmark = [pytest.mark.samples, pytest.mark.copy, pytest.mark.newest_server]

SPOT = "binance-spot"


@pytest.fixture
def cases(samples: Path) -> Path:
    folder = samples.parent / "cases" / "identity"
    if not folder.is_dir():
        pytest.skip("the inputs that failed are not beside this checkout")
    return folder


def assert_stored(connection: Connection, *trades: tuple[oracle.TradeKey, str, str]) -> None:
    """See these trades stored, no others, and their candles right; price and volume are text."""
    oracle.assert_candles_are_right(
        connection, {key: (D(price), D(volume)) for key, price, volume in trades}
    )
    assert connection.execute("SELECT * FROM entasis.check_ids()").fetchall() == []


AS_TOLD = IngestReport(0, 1, 1)
"""Of two trades that are stored, the second is told as a sale live, and as a purchase by the
archive, which is a conflict in any order."""


def tell_live(database: Database, script: Path) -> None:
    """Run the script that feeds the writer, with the writer's name of today."""
    done = subprocess.run(
        [sys.executable, "-c", script.read_text().replace("SyncTickWriter", "TickWriter")],
        env={**os.environ, "DATABASE_URL": database.dsn},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.several_connections
@pytest.mark.parametrize("order", ["live first", "archive first"])
def test_live_in_milliseconds_and_the_archive_in_microseconds(
    emptied: Database, connection: Connection, cases: Path, order: str
) -> None:
    archive = cases / "BTCUSDT-aggTrades-2025-01-15.csv"
    if order == "live first":
        tell_live(emptied, cases / "live_ms_same_ids.py")
        assert load_trades(connection, archive, exchange=SPOT).report == AS_TOLD
        microseconds = (123_000, 123_000)
    else:
        assert load_trades(connection, archive, exchange=SPOT).report == IngestReport(2)
        tell_live(emptied, cases / "live_ms_same_ids.py")
        microseconds = (123_456, 123_900)
    first = datetime(2025, 1, 15, tzinfo=UTC)
    keys = [
        ("BTCUSDT", SPOT, first + timedelta(microseconds=late), number)
        for late, number in zip(microseconds, (3_310_000_001, 3_310_000_002), strict=True)
    ]
    assert_stored(connection, (keys[0], "96500", "0.003"), (keys[1], "96501", "0.001"))
    ((number, code),) = connection.execute(
        "SELECT payload ->> 'id', code FROM entasis.quarantine"
    ).fetchall()
    assert (number, code) == ("3310000002", "conflict")
    # the archive says it finer
    assert replace_trades(connection, archive, exchange=SPOT).added == 0
    times = [key[2].microsecond for key in sorted(oracle.stored_trades(connection))]
    assert times == [123_456, 123_900]


def test_a_file_published_again_with_other_times(connection: Connection, cases: Path) -> None:
    name = "SKYBTC-trades-2021-02-04.csv"
    first, again = cases / name, cases / "republished" / name

    def at(day: datetime) -> list[tuple[oracle.TradeKey, str, str]]:
        later = day + timedelta(milliseconds=500)
        return [
            (("SKYBTC", SPOT, day, 500_001), "0.00002", "100"),
            (("SKYBTC", SPOT, later, 500_002), "0.00003", "100"),
        ]

    assert load_trades(connection, first, exchange=SPOT).report == IngestReport(2)
    assert load_trades(connection, again, exchange=SPOT).report == IngestReport(0, 0, 2)
    assert quarantined(connection) == [(name, 1, "conflict"), (name, 2, "conflict")]
    assert_stored(connection, *at(datetime(2021, 2, 3, 21, tzinfo=UTC)))
    assert counts(replace_trades(connection, again, exchange=SPOT)) == (0, 2, 0, 0)
    assert_stored(connection, *at(datetime(2021, 2, 13, 17, tzinfo=UTC)))


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_sequence_of_the_exchange_in_two_files(
    connection: Connection, cases: Path, order: tuple[int, int]
) -> None:
    for _ in range(2):
        for number in order:
            load_trades(connection, cases / f"sequence_{number}.csv")
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    assert_stored(
        connection,
        (("ORD", "x", moment, 101), "60000", "0.5"),
        (("ORD", "x", moment, 102), "60000", "0.5"),
        (("ORD", "x", moment, 103), "60001", "0.7"),
    )
    assert quarantined(connection) == []


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_neither_ids_nor_sequence_and_cut_within_a_second(
    connection: Connection, cases: Path, order: tuple[int, int]
) -> None:
    first, second = (cases / f"no_ids_part{number}.csv" for number in order)
    load_trades(connection, first)
    before = everything(connection)
    with pytest.raises(LoadError) as caught:
        load_trades(connection, second)
    assert everything(connection) == before
    for part in ("2025-06-01T00:00:03", "kraken XBTUSD", "104001.0 x 0.1", "104001.5 x 0.2"):
        assert part in str(caught.value)
    assert load_trades(connection, first).report.inserted == 0


def test_the_whole_is_loaded_after_a_piece(
    connection: Connection, cases: Path, tmp_path: Path
) -> None:
    load_trades(connection, cases / "no_ids_part1.csv")
    whole = tmp_path / "no_ids.csv"
    header, *rest = (cases / "no_ids_part2.csv").read_text().splitlines(keepends=True)
    assert header.startswith("exchange,")
    whole.write_text((cases / "no_ids_part1.csv").read_text() + "".join(rest))
    assert load_trades(connection, whole).report == IngestReport(2, 3, 0)
    volumes = [volume for _, volume in oracle.stored_trades(connection).values()]
    assert sum(volumes) == Decimal("0.405")
    oracle.assert_candles_are_right(connection)
