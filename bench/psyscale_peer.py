"""psyscale loads trades and reads candles, as a program: it needs a newer Python than the bench.

It imports nothing of the bench. Standard input is JSON: the DSN of an empty database with
TimescaleDB, batches as files of CSV (symbol, dt, price, volume), and what to read; standard output
the seconds of the load with its candles, those of each read, and how many rows there were.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import pandas as pd
from psyscale import PsyscaleDB, TimeseriesConfig  # type: ignore[import-not-found,unused-ignore]

_MINUTE = pd.Timedelta("1min")
_CONFIG = TimeseriesConfig(
    ["crypto"],
    calculated_periods={"default": [_MINUTE, pd.Timedelta("1h"), pd.Timedelta("1D")]},
    stored_periods={"default": [pd.Timedelta(0)]},
)


def main() -> None:
    """Do what standard input asks for."""
    asked = json.load(sys.stdin)
    frames = [
        pd.read_csv(file, parse_dates=["dt"], date_format="ISO8601") for file in asked["files"]
    ]
    symbols = sorted({symbol for frame in frames for symbol in frame["symbol"].unique()})
    database = PsyscaleDB(asked["url"])
    database.configure_timeseries_schema(tick_tables=_CONFIG)
    names = pd.DataFrame({"symbol": symbols})
    names = names.assign(name=names["symbol"], exchange="bench", asset_class="crypto")
    database.upsert_securities(names, "bench")
    database.update_symbol(symbols, {"store_tick": True})
    keys = {symbol: database._get_pkey(symbol) for symbol in symbols}
    loading = _load(database, frames, keys)
    reading, rows = _read(database, keys[asked["symbol"]], asked)
    json.dump({"loading": loading, "reading": reading, "rows": rows}, sys.stdout)


def _load(database: Any, frames: Sequence[pd.DataFrame], keys: Mapping[str, int]) -> float:
    began = perf_counter()
    for frame in frames:
        for symbol, part in frame.groupby("symbol"):
            (told,) = database.stored_metadata(keys[symbol], {"is_raw_data": True}, _all=True)
            database.upsert_series(
                keys[symbol], told, part.drop(columns="symbol"), on_conflict="error"
            )
    database.refresh_aggregate_metadata()
    return perf_counter() - began


def _read(database: Any, key: int, asked: Mapping[str, Any]) -> tuple[list[float], int]:
    """Read a range of minutes, so often and once more before."""
    begin, end = pd.Timestamp(asked["begin"]), pd.Timestamp(asked["end"])
    reading, rows = [], 0
    for number in range(asked["rounds"] + 1):
        began = perf_counter()
        found = database.get_series(key, _MINUTE, begin, end)
        if number:
            reading.append(perf_counter() - began)
        rows = 0 if found is None else len(found)
    return reading, rows


if __name__ == "__main__":
    main()
