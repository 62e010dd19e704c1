"""The archive's line of the benchmark; run as a program, one step of it in a process of its own."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any

import psycopg

from bench.lines import Bench
from bench.measure import MeasurementError, Row, ratio
from entasis_db.archive import archive, open_store, restore
from entasis_db.archive.export import Archived
from entasis_db.archive.restore import Restored
from tests.s3 import s3_server

_NUMBER = 10
_ROUNDS = 3
_LARGE_SIZE = 2_000_000
_FIRST = datetime(2009, 1, 1, tzinfo=UTC)
_MEBIBYTE = 2**20

Connection = psycopg.Connection[Any]


def line(bench: Bench, size: int, loaded: str) -> None:
    """Compare archive and restore with plain COPY of the same partitions; weigh both."""
    rounds = _ROUNDS if size <= _LARGE_SIZE else 1
    samples: dict[str, list[float]] = {
        n: [] for n in ("archive", "COPY TO", "restore", "COPY FROM")
    }
    peaks: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="entasis-bench-archive-") as folder,
        bench.database(loaded, "archive") as name,
        bench.server.connect(name) as connection,
    ):
        connection.execute(
            "UPDATE entasis.keep_periods SET archived = relation = 'market_data',"
            " keep = CASE relation WHEN 'market_data' THEN '1 day' ELSE keep END::interval"
        )
        stored = _bytes(connection)
        plain = Path(folder) / "plain"
        for number in range(rounds):
            bench.progress(f"archiving {size:,} trades")
            url = (Path(folder) / str(number)).as_uri()
            steps = [("archive", lambda u=url: _step(bench, name, "archive", u, size))]
            steps.append(("COPY TO", lambda: _copy_to(connection, plain)))
            for arm, step in steps if number % 2 == 0 else reversed(steps):
                seconds, peak = step()
                samples[arm].append(seconds)
                if peak:
                    peaks["archive"] = max(peak, peaks.get("archive", 0))
            (archived,) = connection.execute(
                "SELECT sum(bytes)::float8 FROM entasis.archive_objects"
            ).fetchone() or (0,)
            connection.execute("CALL entasis.maintain()")
            bench.progress(f"restoring {size:,} trades")
            steps = [("restore", lambda u=url: _step(bench, name, "restore", u, size))]
            steps.append(("COPY FROM", lambda: _copy_from(connection, plain)))
            for arm, step in steps if number % 2 == 0 else reversed(steps):
                seconds, peak = step()
                samples[arm].append(seconds)
                if peak:
                    peaks["restore"] = max(peak, peaks.get("restore", 0))
            # as it was, for the next round
            connection.execute("DELETE FROM entasis.restores")
            connection.execute("DELETE FROM entasis.archives")
        bench.progress(f"archiving {size:,} trades to S3")
        with s3_server() as s3:
            url = s3.url("bench")
            _, peaks["S3"] = _step(bench, name, "archive", url, size, s3.environment)
    bench.add(
        _NUMBER,
        "The archive, as a part of plain COPY's throughput",
        "All trades, by month, into Parquet in a folder and back. Archiving sorts, writes, reads"
        " back, and reckons the checksum on both sides; COPY TO writes text to a file. A restore"
        " reads, proves the checksum twice, makes the indexes and attaches; COPY FROM reads that"
        " text into a table with the same indexes. Peak memory is that of the whole client"
        " process, Python and its libraries included.",
        ratio(f"archiving {size:,} trades", samples, "COPY TO", "archive"),
        ratio(f"restoring {size:,} trades", samples, "COPY FROM", "restore"),
        Row(f"of {size:,} trades: Parquet", float(archived) / size, unit="bytes"),
        Row(f"of {size:,} trades: table and indexes", stored / size, unit="bytes"),
        Row(f"of {size:,} trades: peak memory archiving", peaks["archive"], unit="MiB"),
        Row(f"of {size:,} trades: peak memory archiving to S3", peaks["S3"], unit="MiB"),
        Row(f"of {size:,} trades: peak memory restoring", peaks["restore"], unit="MiB"),
    )


def _bytes(connection: Connection) -> float:
    (found,) = connection.execute(
        "SELECT sum(bytes)::float8 FROM entasis.partitions WHERE relation = 'market_data'"
    ).fetchone() or (0,)
    return float(found)


def _step(
    bench: Bench,
    name: str,
    what: str,
    url: str,
    size: int,
    credentials: Mapping[str, str] = MappingProxyType({}),
) -> tuple[float, float]:
    """Run a step in a process of its own; return its seconds and its peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.archive", what, url],
        env={**os.environ, **credentials, "ENTASIS_BENCH_DSN": bench.server.dsn(name)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MeasurementError(f"{what} failed: {done.stderr.strip().splitlines()[-1:]}")
    found = json.loads(done.stdout)
    if found["rows"] != size:
        raise MeasurementError(f"{what} came to {found['rows']} rows of {size}")
    return found["seconds"], found["peak"]


def _copy_to(connection: Connection, file: Path) -> tuple[float, float]:
    began = perf_counter()
    with (
        file.open("wb") as sink,
        connection.cursor() as cursor,
        cursor.copy("COPY (SELECT * FROM entasis.market_data) TO STDOUT") as copy,
    ):
        for block in copy:
            sink.write(block)
    return perf_counter() - began, 0


def _copy_from(connection: Connection, file: Path) -> tuple[float, float]:
    with _bare_table(connection):
        began = perf_counter()
        with (
            file.open("rb") as source,
            connection.cursor() as cursor,
            cursor.copy("COPY public.plain FROM STDIN") as copy,
        ):
            while block := source.read(_MEBIBYTE):
                copy.write(block)
        return perf_counter() - began, 0


@contextmanager
def _bare_table(connection: Connection) -> Iterator[None]:
    connection.execute("CREATE TABLE public.plain (LIKE entasis.market_data INCLUDING ALL)")
    try:
        yield
    finally:
        connection.execute("DROP TABLE public.plain")


def main(what: str, url: str) -> None:
    """Archive or restore all trades, and print what it took as JSON."""
    store = open_store(url)
    with psycopg.connect(os.environ["ENTASIS_BENCH_DSN"], autocommit=True) as connection:
        began = perf_counter()
        done: list[Archived] | list[Restored]
        if what == "archive":
            done = archive(connection, store)
        else:
            done = restore(connection, store, "market_data", _FIRST, datetime.now(UTC), attach=True)
        seconds = perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak": _peak(), "rows": sum(d.rows for d in done)}))


def _peak() -> float:
    """Return the most memory that this program has held, in MiB."""
    try:
        # Linux hands ru_maxrss on to whatever a process starts, and the bench itself is larger
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except OSError:
        # in bytes on macOS
        unit = _MEBIBYTE if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main(*sys.argv[1:])
