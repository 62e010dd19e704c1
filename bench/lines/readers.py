"""What the readers of other layouts cost, beside the fast path: Binance's CSV."""

import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from bench import data
from bench.context import Bench
from bench.files import write_csv, write_parquet
from bench.line import Sizes, Subject
from bench.measure import MeasurementError, Row, alternate, ratio
from entasis_db.ingest import load_trades
from entasis_db.model import Trade
from entasis_db.readers import read_trades

TITLE = "Reading and loading files of several layouts, against Binance's CSV"
HOW = (
    "Rows a second of each layout over those of Binance's archive of the same trades, of one"
    " market: by read_trades() alone, and by load_trades() in batches of 50,000, which reads ahead"
    " while the server writes. Below 1 is slower. Parquet is not read row by row, so only loaded."
    " OKX stands for the layouts of venues, Bybit for those with ids that are text, and what CCXT"
    " returns for JSON."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.ONCE

_UNIT = timedelta(microseconds=1)
_FAST = "Binance"
_UUID = "0a1b2c3d-1111-5222-8333-"
_HEADERS = {
    _FAST: "",
    "OKX": "instrument_name,trade_id,side,price,size,created_time\n",
    "Bybit": "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional\n",
    "--columns": "tid,ts,px,qty,aggressor\n",
    "JSON": "",
}
_OPTIONS: Mapping[str, dict[str, Any]] = {
    _FAST: {"exchange": "binance-spot"},
    "--columns": {
        "columns": "timestamp=ts,price=px,volume=qty,id=tid,side=aggressor",
        "time_unit": "us",
        "exchange": "bench",
        "symbol": "BTCUSDT",
    },
    "JSON": {"exchange": "bench"},
    "Parquet": {"id_space": data.ID_SPACE},
}


def run(bench: Bench) -> Iterator[Row]:
    """Read a file of each layout, then load it."""
    market = data.BUSY_MARKET
    number = bench.effort.service_trades
    of_one = (t for t in data.trades(4 * number, hours=4) if t.symbol == market.symbol)
    trades = list(islice(of_one, number))
    with tempfile.TemporaryDirectory(prefix="entasis-bench-") as folder:
        files = _write(Path(folder), trades)
        read = alternate(
            {
                layout: partial(_read, bench, layout, path, len(trades))
                for layout, path in files.items()
                if layout != "Parquet"
            },
            bench.effort.rounds,
        )
        loaded = alternate(
            {
                layout: partial(_load, bench, layout, path, len(trades))
                for layout, path in files.items()
            },
            bench.effort.rounds,
        )
    what = f"{len(trades):,} trades"
    for how, samples in (("read", read), ("loaded", loaded)):
        for layout in samples:
            if layout != _FAST:
                yield ratio(f"{what} {how}: {layout}", samples, _FAST, layout)


def _write(folder: Path, trades: list[Trade]) -> dict[str, Path]:
    names = {
        _FAST: "BTCUSDT-trades-2025-01.csv",
        "OKX": "okx.csv",
        "Bybit": "bybit.csv",
        "--columns": "columns.csv",
        "JSON": "ccxt.json",
    }
    files = {layout: folder / name for layout, name in names.items()}
    for layout, path in files.items():
        with path.open("w") as out:
            out.write(_HEADERS[layout])
            out.writelines(_line(layout, trade) for trade in trades)
    files["ours"], files["Parquet"] = folder / "ours.csv", folder / "trades.parquet"
    write_csv(files["ours"], trades)
    write_parquet(files["Parquet"], [trades])
    return files


def _line(layout: str, trade: Trade) -> str:
    price, volume, side = trade.price, trade.volume, trade.side
    us = int(data.START.timestamp()) * 10**6 + (trade.timestamp - data.START) // _UNIT
    match layout:
        case "OKX":
            return f"BTC-USDT,{trade.id},{side},{price},{volume},{us // 1000}\n"
        case "Bybit":
            seconds = f"{us // 10**6}.{us % 10**6:06}"
            uuid = f"{_UUID}{trade.id:012x}"
            return f"{seconds},BTCUSDT,{side},{volume},{price},PlusTick,{uuid},1,1,1\n"
        case "--columns":
            return f"{trade.id},{us},{price},{volume},{side}\n"
        case "JSON":
            return (
                f'{{"id": "{trade.id}", "timestamp": {us // 1000}, "datetime": "", '
                f'"symbol": "BTC/USDT", "side": "{side}", "price": {price}, "amount": {volume}}}\n'
            )
    maker = "True" if side == "sell" else "False"
    return f"{trade.id},{price},{volume},{price * volume},{us},{maker},True\n"


def _read(bench: Bench, layout: str, path: Path, rows: int) -> float:
    bench.progress(f"reading {layout}")
    began = perf_counter()
    found = sum(1 for row in read_trades(path, **_OPTIONS.get(layout, {})) if len(row) == 3)
    seconds = perf_counter() - began
    if found != rows:
        raise MeasurementError(f"{path.name} has {found} of {rows} trades")
    return seconds


def _load(bench: Bench, layout: str, path: Path, rows: int) -> float:
    bench.progress(f"loading {layout}")
    with bench.database(bench.templates.migrated) as name:
        bench.server.checkpoint()
        with bench.server.connect(name) as connection:
            began = perf_counter()
            loaded = load_trades(connection, path, **_OPTIONS.get(layout, {}))
            seconds = perf_counter() - began
    if loaded.report.inserted != rows:
        raise MeasurementError(f"{path.name} came to {loaded.report}")
    return seconds
