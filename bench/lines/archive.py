"""Archive and restore, against COPY."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from types import MappingProxyType

from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection
from bench.measure import MeasurementError, Row, Samples, Target, only_row, ratio
from tests.s3 import s3_server

TITLE = "The archive, as a part of plain COPY's throughput"
HOW = (
    "All trades, by month, into Parquet in a folder and back. Archiving sorts, writes, reads back,"
    " and computes the checksum on both sides; COPY TO writes text to a file. A restore reads,"
    " proves the checksum twice, makes the indexes and attaches; COPY FROM reads that text into a"
    " table with the same indexes. Peak memory is that of the whole client process, Python and its"
    " libraries included."
)
SUBJECT = Subject.RETENTION
SIZES = Sizes.EACH

_MEBIBYTE = 2**20
_ARCHIVE_ALL = """
    UPDATE entasis.keep_periods SET archived = relation = 'market_data',
        keep = CASE relation WHEN 'market_data' THEN '1 day' ELSE keep END::interval
"""
Step = Callable[[], float]


def run(bench: Bench) -> Iterator[Row]:
    """Archive and restore, round by round; then weigh both."""
    what = f"{bench.size:,} trades"
    with (
        tempfile.TemporaryDirectory(prefix="entasis-bench-archive-") as folder,
        bench.database(bench.loaded, "archive") as name,
        bench.server.connect(name) as connection,
    ):
        connection.execute(_ARCHIVE_ALL)
        (stored,) = only_row(
            connection,
            "SELECT sum(bytes)::float8 FROM entasis.partitions WHERE relation = 'market_data'",
        )
        rounds = _Rounds(bench, name, connection, Path(folder))
        for number in range(bench.load_rounds):
            rounds.take(number)
        yield ratio(f"archiving {what}", rounds.samples, "COPY TO", "archive", Target(">=", 0.4))
        yield ratio(f"restoring {what}", rounds.samples, "COPY FROM", "restore", Target(">=", 0.9))
        yield Row(f"of {what}: Parquet", rounds.archived / bench.size, unit="bytes")
        yield Row(f"of {what}: table and indexes", stored / bench.size, unit="bytes")
        peaks = rounds.peaks
        yield Row(f"of {what}: peak memory archiving", peaks["archive"], unit="MiB")
        bench.progress(f"archiving {what} to S3")
        with s3_server() as s3:
            rounds.client("archive", s3.url("bench"), s3.environment, of="S3")
        yield Row(f"of {what}: peak memory archiving to S3", peaks["S3"], unit="MiB")
        yield Row(f"of {what}: peak memory restoring", peaks["restore"], unit="MiB")


class _Rounds:
    """The rounds of one database; each leaves it as it was."""

    def __init__(self, bench: Bench, name: str, connection: Connection, folder: Path) -> None:
        self._bench = bench
        self._name = name
        self._connection = connection
        self._folder = folder
        self._plain = folder / "plain"
        self.samples: Samples = {n: [] for n in ("archive", "COPY TO", "restore", "COPY FROM")}
        self.peaks: dict[str, float] = {}
        """The most memory that clients have held, in MiB."""
        self.archived = 0.0
        """Bytes of the archive."""

    def take(self, number: int) -> None:
        """Archive, drop and restore, each beside its COPY; every other round the COPY is first."""
        url = (self._folder / str(number)).as_uri()
        progress, size = self._bench.progress, f"{self._bench.size:,}"
        progress(f"archiving {size} trades")
        self._both(
            number, archive=partial(self.client, "archive", url), **{"COPY TO": self._copy_to}
        )
        (self.archived,) = only_row(
            self._connection, "SELECT sum(bytes)::float8 FROM entasis.archive_objects"
        )
        self._connection.execute("CALL entasis.maintain()")
        progress(f"restoring {size} trades")
        self._both(
            number, restore=partial(self.client, "restore", url), **{"COPY FROM": self._copy_from}
        )
        self._connection.execute("DELETE FROM entasis.restores")
        self._connection.execute("DELETE FROM entasis.archives")

    def _both(self, number: int, **steps: Step) -> None:
        for arm in steps if number % 2 == 0 else reversed(steps):
            self.samples[arm].append(steps[arm]())

    def client(
        self,
        what: str,
        url: str,
        credentials: Mapping[str, str] = MappingProxyType({}),
        of: str | None = None,
    ) -> float:
        """Run a step in a process of its own; return its seconds, and note its peak memory."""
        dsn = self._bench.server.dsn(self._name)
        done = subprocess.run(
            [sys.executable, "-m", "bench.archiver", what, url],
            env={**os.environ, **credentials, "ENTASIS_BENCH_DSN": dsn},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise MeasurementError(f"{what} failed: {done.stderr.strip().splitlines()[-1:]}")
        found = json.loads(done.stdout)
        if found["rows"] != self._bench.size:
            raise MeasurementError(f"{what} came to {found['rows']} rows of {self._bench.size}")
        self.peaks[of or what] = max(found["peak"], self.peaks.get(of or what, 0))
        return float(found["seconds"])

    def _copy_to(self) -> float:
        began = perf_counter()
        with (
            self._plain.open("wb") as sink,
            self._connection.cursor() as cursor,
            cursor.copy("COPY (SELECT * FROM entasis.market_data) TO STDOUT") as copy,
        ):
            for block in copy:
                sink.write(block)
        return perf_counter() - began

    def _copy_from(self) -> float:
        with _bare_table(self._connection):
            began = perf_counter()
            with (
                self._plain.open("rb") as source,
                self._connection.cursor() as cursor,
                cursor.copy("COPY public.plain FROM STDIN") as copy,
            ):
                while block := source.read(_MEBIBYTE):
                    copy.write(block)
            return perf_counter() - began


@contextmanager
def _bare_table(connection: Connection) -> Iterator[None]:
    connection.execute("CREATE TABLE public.plain (LIKE entasis.market_data INCLUDING ALL)")
    try:
        yield
    finally:
        connection.execute("DROP TABLE public.plain")
