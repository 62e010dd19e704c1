"""Real trades: loaded once and read as candles, against computing them from Parquet each time."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl

from bench import data, minutes, real
from bench.context import Bench
from bench.files import write_parquet
from bench.line import Sizes, Subject
from bench.loaders import SOURCE
from bench.measure import Row, alternate, ratio, timed
from entasis_db.ingest import ingest_trades

TITLE = "All minutes of real trades, how many times faster than DuckDB and Polars from Parquet"
HOW = (
    f"SELECT of ohlcv_1m into Python, over the trades of {real.FILE}, against DuckDB"
    f" {duckdb.__version__} and Polars {pl.__version__}, which compute the same minutes from a"
    " Parquet file of them. Exact decimals and open connections on all sides; values are compared"
    " first; alternated, the first round is dropped. What loading them costs is in line `clients`."
)
SUBJECT = Subject.READING
SIZES = Sizes.ONCE


def run(bench: Bench) -> Iterator[Row]:
    """Load the trades and write the file; read from all."""
    trades = real.trades(bench.effort.service_trades)
    bench.progress(f"loading {len(trades):,} real trades")
    begin = min(trade.timestamp for trade in trades).replace(second=0, microsecond=0)
    end = max(trade.timestamp for trade in trades) + timedelta(minutes=1)
    with (
        tempfile.TemporaryDirectory(prefix="entasis-bench-") as folder,
        bench.database(bench.templates.migrated) as name,
        bench.server.connect(name) as connection,
        minutes.lake() as lake,
    ):
        for batch in data.batches(trades, bench.effort.batch):
            ingest_trades(connection, batch, source=SOURCE, id_space=data.ID_SPACE)
        connection.execute("VACUUM (ANALYZE)")
        file = Path(folder) / "trades.parquet"
        write_parquet(file, [sorted(trades, key=lambda trade: trade.timestamp)])
        ours = minutes.kept(connection, begin, end)
        minutes.same(ours, minutes.by_polars(file, begin, end).rows())
        theirs = minutes.by_duckdb(lake, file, begin, end)
        count = minutes.same(minutes.without_zone(ours), theirs)
        samples = alternate(
            {
                "ours": lambda: timed(lambda: minutes.kept(connection, begin, end)),
                "DuckDB": lambda: timed(lambda: minutes.by_duckdb(lake, file, begin, end)),
                "Polars": lambda: timed(lambda: minutes.by_polars(file, begin, end).rows()),
            },
            bench.effort.short_rounds,
            warm_up=1,
        )
    what = f"{len(trades):,} trades, {count:,} minutes of all markets"
    for other in ("DuckDB", "Polars"):
        yield ratio(f"{what} / {other}", samples, other, "ours")
