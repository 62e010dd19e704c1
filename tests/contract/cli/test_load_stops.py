"""What stops a load, and how many rows are stored then."""

import gzip
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from entasis_db.errors import LoadError
from entasis_db.exchange_candles import CandleReport, load_exchange_candles
from entasis_db.ingest import IngestReport, Loaded, load_trades
from tests.contract.cli.support import HEADER, entasis, fails, leaves, lines
from tests.db import Connection, let_triggers
from tests.engines import Database

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]

CANDLES = "exchange,symbol,interval,bucket,open,high,low,close,volume,quote_volume,trades\n"


def counted(connection: Connection) -> tuple[int, int]:
    """Return how many trades are stored, and how many rows are in quarantine."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM entasis.market_data), (SELECT count(*) FROM"
        " entasis.quarantine)"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_a_flipped_byte_stores_nothing(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv.gz"
    # stored, not deflated: the byte is a digit of a price, and all lines can be read
    data = bytearray(gzip.compress((HEADER + lines(3000)).encode(), compresslevel=0))
    place = data.index(b"101.5,0.25")
    data[place] ^= 1
    path.write_bytes(data)
    with database.connect() as connected:
        with pytest.raises(LoadError, match=r"is damaged after line 3001 \(CRC check failed"):
            load_trades(connected, path, batch_rows=100)
        assert counted(connected) == (0, 0)


def test_a_last_line_without_its_end(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(3).removesuffix("25\n"))
    said = leaves(database, "load", "trades", str(path))
    assert "2 rows stored, 0 were there already, 1 in quarantine" in said
    assert "line 4: unterminated: the file ends without a line end, so its last line may" in said
    path.write_text(HEADER + lines(3))
    with database.connect() as connected:
        assert load_trades(connected, path).report == IngestReport(1, 2)


def wrong(count: int, begin: int = 0) -> str:
    """Trades that SQL refuses: they have no volume."""
    return "".join(f"x,BTC,1723118400000000000,,{n},1,0\n" for n in range(begin, begin + count))


def unreadable(count: int) -> str:
    return "x,BTC,1723118400.5,,1,1,1\n" * count


@pytest.mark.parametrize("bad", [wrong, unreadable])
def test_a_file_that_is_wrong_as_a_whole(database: Database, tmp_path: Path, bad: object) -> None:
    assert callable(bad)
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(2000) + bad(3000))
    with database.connect() as connected:
        with pytest.raises(LoadError) as error:
            load_trades(connected, path, batch_rows=700)
        # two batches are whole, and the third has 600 good rows and 100 bad ones
        said = str(error.value)
        code = "volume: " if bad is wrong else "timestamp: "
        assert said.startswith("trades.csv: 1500 rows so far cannot be stored, as line ")
        assert code in said
        assert "(2000 rows of it are stored now, 0 were before, 800 are in quarantine)" in said
        assert counted(connected) == (2000, 800)
        loaded = load_trades(connected, path, batch_rows=700, max_refused=3000)
        assert loaded.report == IngestReport(0, 2000, 3000)
        assert load_trades(connected, path, max_refused=None).report == loaded.report
        with pytest.raises(ValueError, match="max_refused is -1"):
            load_trades(connected, path, max_refused=-1)


def test_the_option_of_the_command(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(5) + wrong(2, 7))
    said = fails(database, "load", "trades", "--max-refused", "1", str(path))
    assert "2 rows so far cannot be stored, as line 7: volume: " in said
    assert "(0 rows of it are stored now" in said
    assert "5 rows stored" in leaves(database, "load", "trades", "--max-refused", "2", str(path))
    path.write_text(HEADER + wrong(1001))
    assert "1001 rows so far" in fails(database, "load", "trades", str(path))
    quotes = tmp_path / "quotes.csv"
    quotes.write_text(
        "underlying,strike_price,expiry_date,option_type,timestamp_ns,iv\n"
        + "SPY,345,2021-01-29,put,oops,1\n" * 2
    )
    said = fails(database, "load", "options", "--max-refused", "1", str(quotes))
    assert "2 rows so far cannot be stored, as line 2: timestamp" in said


def test_candles_that_are_wrong_as_a_whole(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    good = "x,BTC,1h,2025-03-03T10:00:00Z,10.5,11,9,10,3.5,,\n"
    path.write_text(CANDLES + good + "x,BTC,1h,oops,10.5,11,9,10,3.5,,\n" * 2)
    said = fails(database, "load", "candles", "--max-refused", "1", str(path))
    assert "2 rows so far cannot be stored, as line 3: timestamp" in said
    # refused by SQL
    path.write_text(CANDLES + good + good.replace("11,9", "9,11") * 2)
    with database.connect() as connected:
        with pytest.raises(LoadError, match="2 rows so far cannot be stored"):
            load_exchange_candles(connected, path, max_refused=1)
        assert connected.execute("SELECT FROM entasis.exchange_candles").fetchall() == []
        seen: list[CandleReport] = []
        load_exchange_candles(connected, path, progress=seen.append)
        assert seen[-1].bytes_read == path.stat().st_size
        assert seen[-1] == CandleReport(1, quarantined=2)


FULL = (
    """
CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.id = 1500 THEN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
    END IF;
    RETURN new;
END $$
""",
    """
CREATE TRIGGER full_disk BEFORE INSERT ON entasis.market_data
FOR EACH ROW EXECUTE FUNCTION public.full_disk()
""",
)


def test_a_full_disk(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(2000))
    with database.connect() as connected:
        let_triggers(connected)
        for statement in FULL:
            connected.execute(statement)
        with pytest.raises(LoadError) as error:
            load_trades(connected, path, batch_rows=1000)
        assert str(error.value) == (
            "trades.csv: the server has no room: could not extend file: No space left on device "
            "(1000 rows of it are stored now, 0 were before, 0 are in quarantine). Make room, and "
            "load it again: nothing is loaded twice"
        )
        assert counted(connected) == (1000, 0)
        connected.execute("DROP FUNCTION public.full_disk CASCADE")
        assert load_trades(connected, path).report == IngestReport(1000, 1000)


PROGRAM = """
import signal
from entasis_db.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@pytest.mark.several_connections
def test_interrupted(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(50_000) + lines(5, "ETH"))
    command = ["--database", database.dsn, "load", "trades", str(path)]
    with database.connect(autocommit=False) as holder:
        # the second batch waits for it
        holder.execute("SELECT entasis.record_id_space('ETH', 'x', 'trade', 'x', 'us')")
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *command], stderr=subprocess.PIPE, text=True
        )
        with process, database.connect() as connected:
            while counted(connected) == (0, 0):
                assert process.poll() is None
                threading.Event().wait(0.05)
            threading.Event().wait(0.5)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = process.stderr.read()
            assert process.wait(20) == 1
    assert said == (
        "entasis: trades.csv: interrupted. 50000 rows of it are safe in the database; load it "
        "again to go on: nothing is loaded twice\n"
    )


def test_a_lost_connection_tells_what_is_stored(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + lines(10))

    def load(connection: Connection, path: Path, **how: object) -> Loaded:
        def stop(loaded: Loaded) -> None:
            progress = how.pop("progress")
            assert callable(progress)
            progress(loaded)
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        how["max_refused"] = 0
        return load_trades(connection, path, batch_rows=4, progress=stop)

    monkeypatch.setattr("entasis_db.cli.load.load_trades", load)
    result = entasis(database, "load", "trades", str(path))
    assert result.exit_code == 1
    assert result.stderr.startswith("entasis: trades.csv: ")
    assert "4 rows of it are safe in the database; load it again to go on" in result.stderr
