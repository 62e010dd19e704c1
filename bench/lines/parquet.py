"""Files of Parquet, against CSV."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

from bench import data
from bench.context import Bench
from bench.files import write_csv, write_parquet
from bench.line import Sizes, Subject
from bench.loaders import two_hours
from bench.measure import MeasurementError, Row, Target, alternate, ratio
from entasis_db.ingest import load_trades

TITLE = "Loading Parquet, against loading CSV"
HOW = (
    "Throughput of load_trades() from a Parquet file over that from the same trades as CSV, parsing"
    " included, in batches of 50,000."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.ONCE


def run(bench: Bench) -> Iterator[Row]:
    """Load one file of each kind."""
    rows = two_hours(bench.effort.service_trades)
    with tempfile.TemporaryDirectory(prefix="entasis-bench-") as folder:
        text, parquet = Path(folder) / "trades.csv", Path(folder) / "trades.parquet"
        write_csv(text, rows)
        write_parquet(parquet, [rows])
        samples = alternate(
            {
                "csv": partial(_arm, bench, text, len(rows), None),
                "parquet": partial(_arm, bench, parquet, len(rows), data.ID_SPACE),
            },
            bench.effort.rounds,
        )
    yield ratio(f"{len(rows):,} trades", samples, "csv", "parquet", Target(">=", 1))


def _arm(bench: Bench, file: Path, rows: int, id_space: str | None) -> float:
    bench.progress(f"{rows:,} trades from {file.name}")
    with bench.database(bench.templates.migrated) as name:
        bench.server.checkpoint()
        with bench.server.connect(name) as connection:
            began = perf_counter()
            loaded = load_trades(connection, file, id_space=id_space)
            seconds = perf_counter() - began
        if loaded.report.inserted != rows:
            raise MeasurementError(f"{file.name} came to {loaded.report}")
        return seconds
