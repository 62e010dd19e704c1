"""1-minute candles, as the database keeps them and as others compute them from Parquet."""

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from bench.data import Market
from bench.loaders import Connection
from bench.measure import MeasurementError

_KEPT = """
    SELECT symbol, exchange, bucket, open, high, low, close, volume, trades
    FROM entasis.ohlcv_1m
    WHERE bucket >= %(begin)s AND bucket < %(end)s
    ORDER BY symbol, exchange, bucket
"""
# the time zone is UTC, and without one DuckDB needs no further library to give it to Python
_COMPUTED = """
    SELECT
        symbol, exchange, date_trunc('minute', timestamp)::timestamp AS bucket,
        arg_min(price, (timestamp, id)), max(price), min(price), arg_max(price, (timestamp, id)),
        sum(volume), count(*)
    FROM read_parquet($file)
    WHERE timestamp >= $begin AND timestamp < $end
    GROUP BY ALL
    ORDER BY symbol, exchange, bucket
"""


def kept(connection: Connection, begin: datetime, end: datetime) -> list[Any]:
    """Return the minutes of all markets in a range, from ohlcv_1m."""
    return connection.execute(_KEPT, {"begin": begin, "end": end}).fetchall()


def lake() -> duckdb.DuckDBPyConnection:
    """Return an open DuckDB in UTC."""
    connection = duckdb.connect()
    connection.execute("SET timezone = 'UTC'")
    return connection


def by_duckdb(
    connection: duckdb.DuckDBPyConnection, file: Path, begin: datetime, end: datetime
) -> list[Any]:
    """Return the same, from a file of trades; times have no zone, and are UTC's."""
    return connection.execute(_COMPUTED, {"begin": begin, "end": end, "file": str(file)}).fetchall()


def by_polars(
    file: Path, begin: datetime, end: datetime, market: Market | None = None
) -> pl.DataFrame:
    """Return the minutes of one market, or those of all with their names, from a file of trades."""
    at, price = pl.col("timestamp"), pl.col("price")
    of_time = (at >= begin) & (at < end)
    names = [] if market else ["symbol", "exchange"]
    if market:
        of_time &= (pl.col("symbol") == market.symbol) & (pl.col("exchange") == market.exchange)
    minutes = (
        pl.scan_parquet(file)
        .filter(of_time)
        .sort(*names, "timestamp", "id")
        .group_by(*names, at.dt.truncate("1m").alias("bucket"), maintain_order=True)
        .agg(
            price.first().alias("open"),
            price.max().alias("high"),
            price.min().alias("low"),
            price.last().alias("close"),
            pl.col("volume").sum(),
            pl.len().alias("trades"),
        )
    )
    return minutes.collect()


def same(ours: list[Any], theirs: list[Any]) -> int:
    """Return how many candles there are; MeasurementError if both sides differ."""
    if ours != theirs or not ours:
        raise MeasurementError("the database and Parquet do not give the same candles")
    return len(ours)


def without_zone(rows: list[Any]) -> list[Any]:
    """Return kept minutes as DuckDB gives them."""
    return [(*row[:2], row[2].replace(tzinfo=None), *row[3:]) for row in rows]
