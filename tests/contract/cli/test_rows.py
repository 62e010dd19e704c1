"""Each command that prints rows prints the same ones in every form, under the same names."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from entasis_db.cli.output.rows import as_text
from entasis_db.exchange_candles import load_exchange_candles
from entasis_db.ingest import load_trades
from entasis_db.maintenance import maintain
from tests.contract.cli.support import HEADER, entasis, lines
from tests.db import ensure
from tests.engines import Database, Server
from tests.make import months_ago
from tests.unit.cli import rows

pytestmark = [pytest.mark.copy, pytest.mark.native_speed, pytest.mark.newest_server]

DAY, NEXT = "2024-08-08", "2024-08-09"
CALLS = {
    "anomalies": [[]],
    "anomalies list": [["--state", "all"]],
    "archive list": [[]],
    "candles": [["BTC", "--exchange", "x", "--interval", "1m", "--last", "9"]],
    "check": [[]],
    "check --against exchange": [["--against", "exchange"]],
    "doctor": [[]],
    "doctor --settings": [["--settings"]],
    "gaps": [["--from", "2024-08-01"]],
    "gaps --coverage": [["--coverage"]],
    "history candles": [["BTC", "--exchange", "x", DAY, NEXT]],
    "history quotes": [["SPY", "--expiry", DAY, "--strike", "1", "--type", "put", DAY, NEXT]],
    "history trades": [["BTC", "--exchange", "x", DAY, "2024-08-08T12:10"]],
    "load candles": [["{folder}/c.csv"]],
    "load options": [["{folder}/q.csv"]],
    "load trades": [["{folder}/t.csv", "{folder}/t.csv"]],
    "load trades --replace": [["{folder}/t.csv", "--replace"]],
    "maintain --dry-run": [["--dry-run"]],
    "markets": [[]],
    "markets list": [[]],
    "runs": [[]],
    "status": [[]],
}
"""How each is asked, for rows. Backups, catalogs and smiles have tests of their own."""

ELSEWHERE = {"archive publish", "backfill", "backup check", "backup list", "smile"}
EMPTY = {"archive list", "check", "history quotes", "anomalies", "anomalies list"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    (folder / "t.csv").write_text(HEADER + lines(40))
    (folder / "c.csv").write_text(
        "exchange,symbol,interval,bucket,open,high,low,close,volume,quote_volume,trades\n"
        "x,BTC,1m,2024-08-08T12:00:00Z,1,1,1,1,1,1,1\n"
    )
    (folder / "q.csv").write_text(
        "underlying,strike_price,expiry_date,option_type,timestamp_ns,iv\n"
        "SPY,345,2021-01-29,put,1609718400000000000,0.5\n"
    )
    return folder


@pytest.fixture(scope="module")
def filled(server: Server, folder: Path) -> Iterator[Database]:
    with server.database() as lent:
        with lent.connect() as connection:
            connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
            # times that are not UTC's to the session
            connection.execute(
                f"ALTER DATABASE {connection.info.dbname} SET timezone = 'Asia/Tokyo'".encode()
            )
            text = "".join(line for n, line in enumerate(lines(40).splitlines(True)) if n != 7)
            # of a venue whose ids have no gaps of their own
            text = text.replace("x,BTC,", "binance-spot,BTCUSDT,")
            (folder / "gap.csv").write_text(HEADER + text)
            load_trades(connection, folder / "gap.csv")
            load_trades(connection, folder / "t.csv")
            load_exchange_candles(connection, folder / "c.csv")
            maintain(connection)
            connection.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")
            ensure(connection, "option_data", months_ago(5), months_ago(4))
            connection.execute(
                "UPDATE entasis.keep_periods SET keep = '1 month' WHERE relation = 'option_data'"
            )
        yield lent


def test_every_command_is_asked() -> None:
    shapes = {
        f"{name} {shape.option}".strip()
        for name, printed in rows.with_rows().items()
        for shape in printed.shapes
    }
    assert shapes == CALLS.keys() | ELSEWHERE


def answer(database: Database, name: str, arguments: list[str], *form: str) -> str:
    words = [word for word in name.split() if not word.startswith("--") and word != "exchange"]
    result = entasis(database, *words, *arguments, *form)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 1, 2, 4, 5, 7), (name, result.output)
    assert "Usage" not in result.output, result.output
    return result.stdout


CHANGES = {"load candles", "load options", "load trades", "load trades --replace"}
"""What is counted is another when it is asked again: already there, not stored."""


@pytest.mark.parametrize("name", sorted(CALLS))
def test_rows_are_the_same_in_every_form(filled: Database, folder: Path, name: str) -> None:
    by_name = rows.with_rows()
    command = name if name in by_name else name.partition(" --")[0]
    (names,) = (
        shape.names
        for shape in by_name[command].shapes
        if f"{command} {shape.option}".strip() == name
    )
    for call in CALLS[name]:
        arguments = [word.replace("{folder}", str(folder)) for word in call]
        if name in CHANGES:
            answer(filled, name, arguments)
        told = answer(filled, name, arguments, "--json")
        found = (
            [json.loads(line) for line in told.splitlines()]
            if by_name[command].by_line
            else json.loads(told)
        )
        assert found or name in EMPTY, name
        assert all(tuple(one) == names for one in found), name
        heading, *listed = csv.reader(io.StringIO(answer(filled, name, arguments, "--csv")))
        assert tuple(heading) == names
        expected = [[as_text(value) for value in one.values()] for one in found]
        if name.startswith("history"):
            # pyarrow writes decimals with all the digits of their type, and times with all theirs
            assert len(listed) == len(expected)
        elif not name.startswith("doctor"):  # whose measures go on
            assert listed == expected
        for one in found:
            for field, value in one.items():
                # doctor's and runs' texts aside, a time is in UTC, and a decimal is text
                assert not isinstance(value, float) or field in ("usual", "silent", "usual_gap")
                if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
                    assert value.endswith("+00:00"), (name, field)
        shape = next(s for s in by_name[command].shapes if s.names == names)
        if shape.as_table and found:
            said = answer(filled, name, arguments)
            assert [line.split("\t") for line in said.splitlines()] == [
                [text.replace("\\", "\\\\").replace("\n", "\\n") for text in one]
                for one in expected
            ]
            assert "│" in answer(filled, name, arguments, "--table")


def test_history_writes_times_as_the_others_do(filled: Database) -> None:
    told = answer(filled, "history trades", CALLS["history trades"][0])
    times = [one["timestamp"] for one in csv.DictReader(io.StringIO(told))]
    assert times
    for text in times:
        assert datetime.fromisoformat(text).utcoffset() == UTC.utcoffset(None)
        assert "T" in text
