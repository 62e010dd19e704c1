"""Made-up trades as files, in the layouts that the loader reads."""

import csv
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench import data
from entasis_db.model import Trade

_DECIMALS = pa.decimal128(24, 12)
_COLUMNS = {
    "id": pa.int64(),
    "symbol": pa.string(),
    "exchange": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "price": _DECIMALS,
    "volume": _DECIMALS,
    "side": pa.string(),
}
_CSV_COLUMNS = (
    "exchange",
    "symbol",
    "timestamp_ns",
    "sequence",
    "trade_id",
    "price",
    "volume",
    "side",
)


def write_parquet(file: Path, batches: Iterable[list[Trade]]) -> None:
    """Write a Parquet file, a row group a batch."""
    schema = pa.schema(list(_COLUMNS.items()))
    with pq.ParquetWriter(file, schema) as writer:
        for batch in batches:
            columns = [
                pa.array([getattr(trade, name) for trade in batch], kind)
                for name, kind in _COLUMNS.items()
            ]
            writer.write_table(pa.table(columns, schema=schema))


def write_csv(file: Path, trades: Iterable[Trade]) -> None:
    """Write a CSV file of layout ``entasis``."""
    begin = int(data.START.timestamp()) * 10**9
    with file.open("w", newline="") as text:
        out = csv.writer(text)
        out.writerow(_CSV_COLUMNS)
        for n, trade in enumerate(trades):
            passed = (trade.timestamp - data.START) // timedelta(microseconds=1)
            out.writerow(
                [
                    *(trade.exchange, trade.symbol, begin + passed * 1000, n),
                    *(trade.id, trade.price, trade.volume, trade.side),
                ]
            )
