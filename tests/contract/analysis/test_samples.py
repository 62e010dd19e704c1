"""Analysis of the real samples, compared with pandas and numpy over the trades of the files."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest

from entasis_db import analysis
from entasis_db.ingest import load_trades
from entasis_db.model import Trade
from entasis_db.readers import TradeRow, read_trades
from tests import oracle
from tests.db import Connection
from tests.engines import Server, pause_jobs

pytestmark = [
    pytest.mark.samples,
    pytest.mark.copy,
    pytest.mark.newest_server,
    pytest.mark.native_speed,
]

FILES = (
    "trades_binance_2024-08-08.csv.gz",
    "trades_phemex_2021-07-03.csv.gz",
    "stream_binance_trxusdt_2025-03-04.csv.gz",
)
LIVELY = ("BTCUSDT", "binance-usdm")
SPOT = ("BTCUSDT", "binance-spot")
MARKETS = (
    *(LIVELY, SPOT, ("ETHUSD_PERP", "binance-cm"), ("ATOMUSD", "phemex")),
    ("TRXUSDT", "binance-usdm"),
)
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FLOATS = 1e-11
"""What numpy's floats agree to with numerics of 20 decimals and more."""

Market = tuple[str, str]


@pytest.fixture(scope="module")
def trades(samples: Path) -> dict[Market, list[Trade]]:
    """Each market's trades in the order of (timestamp, id), without the refused zero price."""
    found: dict[Market, list[Trade]] = {}
    for name in FILES:
        for row in read_trades(samples / name):
            if isinstance(row, TradeRow) and row.trade.price > 0:
                trade = row.trade
                found.setdefault((trade.symbol, trade.exchange), []).append(trade)
    for of_market in found.values():
        of_market.sort(key=lambda trade: (trade.timestamp, trade.id))
    return found


@pytest.fixture(scope="module")
def loaded(server: Server, samples: Path) -> Iterator[Connection]:
    """The samples in a database of their own; nothing expires."""
    with server.database() as database, database.connect() as connection:
        if database.can("hypertables"):
            pause_jobs(connection)
        connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
        for name in FILES:
            load_trades(connection, samples / name)
        oracle.refresh(connection)
        connection.execute("VACUUM ANALYZE")
        yield connection


def span(of_market: Sequence[Trade]) -> tuple[datetime, datetime]:
    """Bounds inside of the trades: neither is a whole minute."""
    first, last = of_market[0].timestamp, of_market[-1].timestamp
    length = last - first
    return first + length / 7, last - length / 11


def inside(of_market: Sequence[Trade], bounds: tuple[datetime, datetime]) -> list[Trade]:
    return [trade for trade in of_market if bounds[0] <= trade.timestamp < bounds[1]]


def frame(of_market: Sequence[Trade]) -> pd.DataFrame:
    """Trades in columns; prices and volumes stay Decimals."""
    columns = ("id", "timestamp", "price", "volume", "side")
    return pd.DataFrame({c: [getattr(trade, c) for trade in of_market] for c in columns})


def minutes(of_market: Sequence[Trade], width: int = 1) -> pd.DataFrame:
    """Candles of so many minutes, counted from the Monday 2000-01-03."""
    table = frame(of_market)
    origin = pd.Timestamp("2000-01-03", tz="UTC")
    table["bucket"] = origin + (table.timestamp - origin).dt.floor(f"{width}min")
    return table.groupby("bucket").agg(
        open=("price", "first"),
        high=("price", "max"),
        low=("price", "min"),
        close=("price", "last"),
        volume=("volume", "sum"),
        trades=("id", "size"),
    )


@pytest.mark.parametrize("market", MARKETS, ids=str)
@pytest.mark.parametrize("max_age", [timedelta(seconds=2), timedelta(days=1)], ids=str)
def test_asof_is_merge_asof(
    loaded: Connection, trades: dict[Market, list[Trade]], market: Market, max_age: timedelta
) -> None:
    of_market, random = trades[market], Random(5)
    first, last = of_market[0].timestamp, of_market[-1].timestamp
    length = int((last - first) / timedelta(microseconds=1))
    moments = [
        *(first + timedelta(microseconds=random.randrange(-1000, length)) for _ in range(300)),
        *(random.choice(of_market).timestamp for _ in range(100)),
        *(random.choice(of_market).timestamp - timedelta(microseconds=1) for _ in range(100)),
        *(first, last, last + max_age, first - MINUTE),
    ]
    found = analysis.prices_asof(*market, moments, max_age).fetch(loaded)
    table = (
        frame(of_market)
        .drop_duplicates("timestamp", keep="last")
        .assign(traded_at=lambda t: t.timestamp)
    )
    asked = pd.DataFrame({"timestamp": sorted(set(moments))})
    for each in (table, asked):
        each["timestamp"] = pd.to_datetime(each["timestamp"], utc=True).astype(
            "datetime64[us, UTC]"
        )
    merged = pd.merge_asof(
        *(asked, table),
        on="timestamp",
        # the far end of max_age is not included
        tolerance=pd.Timedelta(max_age) - pd.Timedelta(1, "us"),
    ).set_index("timestamp")
    assert [row.moment for row in found] == moments
    for row in found:
        expected = merged.loc[pd.Timestamp(row.moment)]
        if pd.isna(expected.id):
            assert row[2:] == (None, None, None)
        else:
            assert row[2:] == (expected.price, expected.traded_at, int(expected.id))
    assert {row.price is None for row in found} == {True, False}


@pytest.mark.parametrize("market", MARKETS, ids=str)
@pytest.mark.parametrize("width", [1, 7, 90])
def test_candles_of_any_width(
    loaded: Connection, trades: dict[Market, list[Trade]], market: Market, width: int
) -> None:
    of_market = trades[market]
    start, end = of_market[0].timestamp - 2 * width * MINUTE, of_market[-1].timestamp + MINUTE
    found = analysis.candles_of_width(*market, f"{width}m", start, end).fetch(loaded)
    expected = minutes(of_market, width)
    assert [row.bucket for row in found] == list(expected.index)
    assert [
        (row.open, row.high, row.low, row.close, row.volume, row.trades) for row in found
    ] == list(expected.itertuples(index=False, name=None))


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_averages_of_a_range_that_begins_and_ends_anywhere(
    loaded: Connection, trades: dict[Market, list[Trade]], market: Market
) -> None:
    bounds = span(trades[market])
    of_range = inside(trades[market], bounds)
    (found,) = analysis.vwap(*market, *bounds).fetch(loaded)
    with localcontext(prec=60):
        volume = sum((trade.volume for trade in of_range), Decimal(0))
        quote = sum((trade.price * trade.volume for trade in of_range), Decimal(0))
        assert found[:3] == (len(of_range), volume, quote)
        # contracts of a fixed value are weights themselves
        expected = quote / volume
        assert found.vwap is not None
        assert abs(found.vwap - expected) < Decimal("1e-15") * expected
    (stood,) = analysis.twap(*market, *bounds).fetch(loaded)
    before = [trade for trade in trades[market] if trade.timestamp < bounds[0]][-1]
    times = [bounds[0], *(trade.timestamp for trade in of_range), bounds[1]]
    seconds = np.diff([(moment - EPOCH) / timedelta(seconds=1) for moment in times])
    prices = np.array([float(before.price), *(float(trade.price) for trade in of_range)])
    assert stood[:3] == (*bounds, len(of_range))
    assert float(stood.twap or 0) == pytest.approx(np.average(prices, weights=seconds), 1e-9)


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_bars_and_profiles(
    loaded: Connection, trades: dict[Market, list[Trade]], market: Market
) -> None:
    bounds = span(trades[market])
    of_range = inside(trades[market], bounds)
    table = frame(of_range)
    bars = table.groupby(np.arange(len(table)) // 50).agg(
        opened_at=("timestamp", "first"),
        closed_at=("timestamp", "last"),
        open=("price", "first"),
        high=("price", "max"),
        low=("price", "min"),
        close=("price", "last"),
        volume=("volume", "sum"),
        trades=("id", "size"),
    )
    found = analysis.tick_bars(*market, 50, *bounds).fetch(loaded)
    assert [tuple(getattr(bar, name) for name in bars.columns) for bar in found] == list(
        bars.itertuples(index=False, name=None)
    )

    size = sum((trade.volume for trade in of_range), Decimal(0)) / 37
    sums: list[Decimal] = []
    full = True
    for trade in of_range:
        if full:
            sums.append(Decimal(0))
        sums[-1] += trade.volume
        full = sums[-1] >= size
    by_volume = analysis.volume_bars(*market, size, *bounds).fetch(loaded)
    assert [bar.volume for bar in by_volume] == sums
    assert [bar.is_complete for bar in by_volume[:-1]] == [True] * (len(sums) - 1)
    assert by_volume[-1].is_complete == full

    step = Decimal(5) if market[0].startswith("BTC") else Decimal("0.05")
    table["level"] = [trade.price // step * step for trade in of_range]
    levels = table.groupby("level").agg(trades=("id", "size"), volume=("volume", "sum"))
    profile = analysis.volume_profile(*market, step, *bounds).fetch(loaded)
    assert [(level.price_from, level.trades, level.volume) for level in profile] == list(
        levels.itertuples(name=None)
    )


def test_the_side_that_took(loaded: Connection, trades: dict[Market, list[Trade]]) -> None:
    market = ("TRXUSDT", "binance-usdm")
    bounds = trades[market][0].timestamp - MINUTE, trades[market][-1].timestamp + MINUTE
    found = analysis.order_flow_imbalance(*market, "1m", *bounds).fetch(loaded)
    table = frame(trades[market])
    table["bucket"] = table.timestamp.dt.floor("min")
    assert [row.bucket for row in found] == sorted(set(table.bucket))
    for row in found:
        of_bucket = table[table.bucket == row.bucket]
        bought = of_bucket[of_bucket.side == "buy"].volume.sum()
        sold = of_bucket[of_bucket.side == "sell"].volume.sum()
        assert (row.trades, row.buy_volume, row.sell_volume) == (len(of_bucket), bought, sold)
        with localcontext(prec=60):
            expected = (bought - sold) / (bought + sold)
        assert row.imbalance is not None
        assert abs(row.imbalance - expected) < Decimal("1e-20")


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_returns_and_volatility(
    loaded: Connection, trades: dict[Market, list[Trade]], market: Market
) -> None:
    of_market = trades[market]
    bounds = of_market[0].timestamp - MINUTE, of_market[-1].timestamp + MINUTE
    candles = minutes(of_market).astype(float)
    logs = np.log(candles)
    found = analysis.returns(*market, "1m", *bounds).fetch(loaded)
    steps = np.diff(logs.close)
    assert [float(row.log_return or 0) for row in found[1:]] == pytest.approx(steps, abs=1e-13)
    falls = analysis.drawdown(*market, "1m", *bounds).fetch(loaded)
    expected = candles.close / candles.close.cummax() - 1
    assert [float(row.drawdown or 0) for row in falls] == pytest.approx(expected, abs=1e-13)
    (row,) = analysis.realized_volatility(*market, "1m", *bounds, 1).fetch(loaded)
    assert float(row.close_to_close or 0) == pytest.approx(np.std(steps, ddof=1), FLOATS)
    high_low = logs.high - logs.low
    assert float(row.parkinson or 0) == pytest.approx(
        math.sqrt(np.mean(high_low**2) / (4 * math.log(2))), FLOATS
    )


def test_two_markets(loaded: Connection, trades: dict[Market, list[Trade]]) -> None:
    one, other = LIVELY, ("ETHUSDT", "binance-usdm")
    bounds = trades[one][0].timestamp - MINUTE, trades[one][-1].timestamp + MINUTE
    (row,) = analysis.return_correlation(*one, *other, "1m", *bounds).fetch(loaded)
    closes = pd.DataFrame({m: minutes(trades[m]).close.astype(float) for m in (one, other)})
    logs = np.log(closes.dropna()).diff().dropna()
    assert row.returns == len(logs)
    assert float(row.correlation or 0) == pytest.approx(logs.corr().iloc[0, 1], 1e-9)
    covariance = logs.cov()
    assert float(row.beta or 0) == pytest.approx(
        covariance.iloc[0, 1] / covariance.iloc[1, 1], 1e-9
    )
    both = analysis.basis(*LIVELY, *SPOT, "1m", *bounds).fetch(loaded)
    joined = pd.concat([minutes(trades[m]).close for m in (LIVELY, SPOT)], axis=1, join="inner")
    assert [(row.bucket, row.spread) for row in both] == [
        (at, future - spot) for at, future, spot in joined.itertuples(name=None)
    ]


@pytest.mark.parametrize("market", [SPOT, ("TRXUSDT", "binance-usdm")], ids=str)
def test_markouts(loaded: Connection, trades: dict[Market, list[Trade]], market: Market) -> None:
    of_market = trades[market]
    start = of_market[len(of_market) // 2].timestamp
    bounds, horizons = (
        (start, start + timedelta(seconds=20)),
        [timedelta(seconds=s) for s in (1, 30)],
    )
    found = analysis.trade_markouts(*market, horizons, *bounds).fetch(loaded)
    times = [trade.timestamp for trade in of_market]
    expected: list[Any] = []
    for trade in inside(of_market, bounds):
        for horizon in horizons:
            then = of_market[bisect_right(times, trade.timestamp + horizon) - 1]
            move = then.price - trade.price
            signed = {"buy": move, "sell": -move, None: None}[trade.side]
            expected.append((trade.timestamp, trade.id, horizon, then.price, move, signed))
    assert [
        (row.timestamp, row.id, row.horizon, row.price_then, row.move, row.markout) for row in found
    ] == expected
    assert expected
