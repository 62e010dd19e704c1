"""Gaps that are planted in a real sample are filled by files as exchanges publish them."""

import csv
import gzip
import json
import zipfile
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from entasis_db import quality
from entasis_db.backfill import backfill, spans_of
from entasis_db.ingest import load_trades
from entasis_db.instruments import set_market
from tests import oracle
from tests.contract.cli.support import entasis, fails, succeeds
from tests.engines import Database

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]

SAMPLE = Path("tests/data/trades_binance_sample.csv.gz")
ROWS = 400
DAY = "2024-08-08"
URL = "https://data.binance.vision/data/futures/um/daily/trades"


@cache
def sample() -> list[dict[str, str]]:
    with gzip.open(SAMPLE, "rt") as file:
        rows = list(csv.DictReader(file))
    return [
        row
        for symbol in ("BTCUSDT", "ETHUSDT")
        for row in islice((row for row in rows if row["symbol"] == symbol), ROWS // 2)
    ]


def symbols() -> list[str]:
    return sorted({row["symbol"] for row in sample()})


@pytest.fixture
def holed(emptied: Database, tmp_path: Path) -> Database:
    """A database with the sample's first trades, without a tenth of each market's."""
    rows, seen = sample(), dict.fromkeys(symbols(), 0)
    path = tmp_path / "live.csv"
    with path.open("w") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            seen[row["symbol"]] += 1
            if seen[row["symbol"]] % 50 not in {20, 21, 22, 40, 41}:
                writer.writerow(row)
    with emptied.connect() as connection:
        load_trades(connection, path)
        # nobody documents it of futures, and so it is
        for symbol in symbols():
            set_market(connection, symbol, "binance-usdm", ids_dense=True)
        oracle.refresh(connection)
    return emptied


def publish(folder: Path, symbol: str) -> Path:
    """Write what Binance publishes of a symbol's day, as far as the sample has it."""
    text = "id,price,qty,quote_qty,time,is_buyer_maker\n"
    for row in sample():
        if row["symbol"] == symbol:
            ms = int(row["timestamp_ns"]) // 10**6
            text += f"{row['trade_id']},{row['price']},{row['volume']},1,{ms},true\n"
    path = folder / f"um/daily/trades/{symbol}/{symbol}-trades-{DAY}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{symbol}-trades-{DAY}.csv", text)
    return path


class Said:
    """What the command has said as JSON."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.files = [row for row in rows if row["url"] is not None]
        self.states = [row["state"] for row in self.files]

    def of(self, state: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["state"] == state]


def said(database: Database, *arguments: str, code: int = 0) -> Said:
    result = entasis(database, "backfill", *arguments, "--json")
    assert result.exit_code == code, result.output
    return Said(json.loads(result.stdout))


def count(database: Database) -> int:
    with database.connect() as connection:
        row = connection.execute("SELECT count(*) FROM entasis.market_data").fetchone()
    assert row is not None
    return int(row[0])


def test_gaps_are_filled_by_what_lies_in_a_folder(holed: Database, tmp_path: Path) -> None:
    with holed.connect() as connection:
        planted = len(quality.gaps().fetch(connection))
    assert planted > 4
    before = count(holed)
    folder = tmp_path / "downloads"
    first, *others = symbols()
    published = publish(folder, first)

    dry = said(holed, "--from-gaps", "--folder", str(folder), "--dry-run", code=7)
    assert dry.states == ["there", *["missing"] * len(others)]
    assert len(dry.of("gap")) == planted
    assert count(holed) == before

    result = entasis(holed, "backfill", "--from-gaps", "--folder", str(folder))
    assert result.exit_code == 7
    assert f"{published}: " in result.stdout
    for symbol in others:
        assert f"missing: {URL}/{symbol}/{symbol}-trades-{DAY}.zip" in result.stdout
    assert "gap: binance-usdm" in result.stdout
    assert f"1 files loaded, 0 failed, 0 to be loaded, {len(others)} missing" in result.stderr

    for symbol in others:
        publish(folder, symbol)
    done = said(holed, "--from-gaps", "--folder", str(folder))
    assert done.states == ["loaded"] * len(others)
    assert done.of("gap") == []
    assert count(holed) == ROWS
    # nothing is left to do, and a range that was filled is not filled twice
    assert succeeds(holed, "backfill", "--from-gaps").strip() == "nothing is missing"
    market = (first, "--exchange", "binance-usdm", "--from", DAY, "--to", "2024-08-09")
    again = said(holed, *market, "--folder", str(folder))
    (file,) = again.files
    # from there to the end of the day, the file has no trade either
    assert [gap["kind"] for gap in again.of("silent")] == ["silence"]
    assert (file["inserted"], file["quarantined"]) == (0, 0)
    assert file["already_there"] > 0


def test_gaps_as_they_were_printed(holed: Database, tmp_path: Path) -> None:
    printed = tmp_path / "gaps.json"
    result = entasis(holed, "gaps", "--json")
    printed.write_text(result.stdout)
    for symbol in symbols():
        publish(tmp_path / "f", symbol)
    done = said(holed, "--gaps", str(printed), "--folder", str(tmp_path / "f"))
    assert sum(file["inserted"] for file in done.files) + count_before(result.stdout) == ROWS
    assert count(holed) == ROWS


def count_before(printed: str) -> int:
    return ROWS - sum(gap["missing"] for gap in json.loads(printed))


@pytest.mark.native_speed
def test_a_file_that_is_wrong_is_said_and_the_others_are_loaded(
    holed: Database, tmp_path: Path
) -> None:
    first, *others = symbols()
    publish(tmp_path, first).write_bytes(b"PK\3\4 this is no archive")
    for symbol in others:
        publish(tmp_path, symbol)
    done = said(holed, "--from-gaps", "--folder", str(tmp_path), code=1)
    failed = done.of("failed")
    assert [file["symbol"] for file in failed] == [first]
    assert "fetch the file again" in failed[0]["reason"]
    assert {gap["symbol"] for gap in done.of("gap")} == {first}


@pytest.mark.native_speed
def test_from_python(holed: Database, tmp_path: Path) -> None:
    for symbol in symbols():
        publish(tmp_path, symbol)
    with holed.connect() as connection:
        spans = spans_of(quality.gaps().fetch(connection))
        found, filled = backfill(connection, spans, tmp_path)
        assert len(filled) == len(found.there) == len(symbols())
        assert quality.gaps().fetch(connection) == []


def test_candles_of_the_exchange_are_taken_beside_ours(emptied: Database, tmp_path: Path) -> None:
    folder = tmp_path / "spot"
    folder.mkdir()
    kline = "1723118400000,10,11,9,10,3,1723118459999,30,4,1,10,0\n"
    (folder / f"BTCUSDT-1m-{DAY}.csv").write_text(kline)
    market = ("BTCUSDT", "--exchange", "binance-spot", "--from", DAY, "--to", "2024-08-09")
    (file,) = said(emptied, *market, "--candles", "1m", "--folder", str(tmp_path)).files
    assert (file["state"], file["inserted"], file["interval"]) == ("loaded", 1, "1m")
    (file,) = said(emptied, *market, "--candles", "1m", "--folder", str(tmp_path)).files
    assert (file["inserted"], file["already_there"]) == (0, 1)


def test_what_cannot_be_filled_and_rows_that_are_left_over(
    emptied: Database, tmp_path: Path
) -> None:
    ranges = tmp_path / "ranges.csv"
    ranges.write_text(f"exchange,symbol,from_time,to_time\nkraken,XBTUSD,{DAY},2024-08-09\n")
    done = said(emptied, "--ranges", str(ranges), code=7)
    assert done.files == []
    assert done.of("no_file")[0]["reason"] == "no public files of kraken are known"
    text = "1,0,1,1,1723118400000,true,true\n2,5,1,1,1723118400000,true,true\n"
    (tmp_path / f"BTCUSDT-trades-{DAY}.csv").write_text(text)
    market = ("BTCUSDT", "--exchange", "binance-spot", "--from", DAY, "--to", "2024-08-09")
    said(emptied, *market, "--folder", str(tmp_path), code=3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "say what to fill"),
        (["BTCUSDT", "--exchange", "x"], "say what to fill"),
        (["--from-gaps", "--gaps", "x"], "give one of"),
        (["BTCUSDT", "--gaps", "x"], "a file names its markets"),
    ],
)
def test_commands_that_are_written_wrongly(
    shared: Database, arguments: list[str], told: str
) -> None:
    assert told in fails(shared, "backfill", *arguments, code=2)
