"""Returns, volatility, correlation and drawdown, compared with Decimal, numpy and pandas."""

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from entasis_db import analysis, queries
from entasis_db.analysis import RealizedVolatility, ReturnCorrelation
from entasis_db.model import Trade
from tests.contract.analysis.test_markouts import OTHER, close_to
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    example,
    insert_trades,
    scenes,
    trade,
)
from tests.db import Connection
from tests.make import D

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

PLACES = 1e-12
"""What floats agree to with us; our own numbers have 20 decimals."""


def walk(seed: int, count: int, market: tuple[str, str] = MARKET, gap: int = 9) -> list[Trade]:
    """Make trades of a random walk, with gaps."""
    random, price, trades = Random(seed), 60000.0, []
    for n in range(count):
        price *= math.exp(random.gauss(0, 0.002))
        if n % gap:
            at = MARCH + n * 17 * MINUTE
            trades.append(trade(at, n, D(f"{price:.2f}"), D(1), market))
    return trades


@given(scene=scenes)
def test_returns_are_from_candle_to_candle(
    months_connection: Connection, scene: tuple[datetime, list[Trade]]
) -> None:
    anchor, trades = scene
    with example(months_connection):
        insert_trades(months_connection, trades)
        start, end = anchor - 4 * DAY, anchor + 4 * DAY
        candles = queries.candles(*MARKET, "5m", start, end).fetch(months_connection)
        found = analysis.returns(*MARKET, "5m", start, end).fetch(months_connection)
        falls = analysis.drawdown(*MARKET, "5m", start, end).fetch(months_connection)
        assert [(row.bucket, row.close) for row in found] == [(c.bucket, c.close) for c in candles]
        assert [(row.bucket, row.close) for row in falls] == [(c.bucket, c.close) for c in candles]
        before = None
        with localcontext(prec=80):
            for row in found:
                assert row.previous_close == before
                simple = row.close / before - 1 if before else None
                assert close_to(row.simple_return, simple)
                assert close_to(row.log_return, (row.close / before).ln() if before else None)
                before = row.close
            peak, peak_at = D(0), anchor
            for fall in falls:
                if fall.close > peak:
                    peak, peak_at = fall.close, fall.bucket
                assert (fall.peak, fall.peak_at) == (peak, peak_at)
                assert close_to(fall.drawdown, fall.close / peak - 1)


def estimates(candles: Sequence[queries.Candle], periods: float) -> list[float]:
    """Compute the four estimates with numpy, as their papers state them."""
    names = ("open", "high", "low", "close")
    o, h, low, c = (np.log([float(getattr(x, name)) for x in candles]) for name in names)
    n = len(candles) - 1
    jumps, inside = o[1:] - c[:-1], c[1:] - o[1:]
    up, down = h[1:] - o[1:], low[1:] - o[1:]
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    variances = [
        np.var(np.diff(c), ddof=1),
        np.mean((h - low) ** 2) / (4 * math.log(2)),
        np.mean(0.5 * (h - low) ** 2 - (2 * math.log(2) - 1) * (c - o) ** 2),
        np.var(jumps, ddof=1)
        + k * np.var(inside, ddof=1)
        + (1 - k) * np.mean(up * (up - inside) + down * (down - inside)),
    ]
    return [math.sqrt(v * periods) for v in variances]


@pytest.mark.parametrize(
    ("interval", "periods"), [("1h", 8760), ("15m", 35040), ("4h", 2190), ("1d", 365)]
)
def test_volatility_is_that_of_numpy(
    months_connection: Connection, interval: queries.Interval, periods: int
) -> None:
    with example(months_connection):
        insert_trades(months_connection, walk(7, 400))
        bounds = MARCH, MARCH + 6 * DAY
        candles = queries.candles(*MARKET, interval, *bounds).fetch(months_connection)
        statement = analysis.realized_volatility(*MARKET, interval, *bounds)
        (row,) = statement.fetch(months_connection)
        assert row[:3] == (len(candles), len(candles) - 1, periods)
        assert [float(v or 0) for v in row[3:]] == pytest.approx(
            estimates(candles, periods), PLACES
        )
        (per,) = analysis.realized_volatility(*MARKET, interval, *bounds, 1).fetch(
            months_connection
        )
        assert [float(v or 0) for v in per[3:]] == pytest.approx(estimates(candles, 1), PLACES)


def test_too_little_for_an_estimate(months_connection: Connection) -> None:
    def ask() -> RealizedVolatility:
        statement = analysis.realized_volatility(*MARKET, "1m", MARCH, MARCH + HOUR)
        (row,) = statement.fetch(months_connection)
        return row

    with example(months_connection):
        assert ask()[:2] == (0, 0)
        assert ask()[3:] == (None, None, None, None)
        insert_trades(months_connection, [trade(MARCH, 1, D(3))])
        assert ask()[:2] == (1, 0)
        assert ask()[3:] == (None, 0, 0, None)
        insert_trades(months_connection, [trade(MARCH + MINUTE, 2, D(3))])
        assert ask()[3:] == (None, 0, 0, None)
        insert_trades(months_connection, [trade(MARCH + 2 * MINUTE, 3, D(3))])
        assert ask()[3:] == (0, 0, 0, 0)


def test_of_prices_at_zero_and_below_there_is_no_logarithm(months_connection: Connection) -> None:
    with example(months_connection):
        months_connection.execute(
            'SELECT entasis.set_market(%s, %s, \'{"kind": "spread"}\')', MARKET
        )
        prices = [D(p) for p in (-4, -2, 0, 5, 4)]
        insert_trades(
            months_connection, [trade(MARCH + n * MINUTE, n, p) for n, p in enumerate(prices)]
        )
        bounds = MARCH, MARCH + HOUR
        found = analysis.returns(*MARKET, "1m", *bounds).fetch(months_connection)
        assert [row.simple_return for row in found] == [None, None, None, None, D("-0.2")]
        assert [row.log_return is None for row in found] == [True, True, True, True, False]
        (row,) = analysis.realized_volatility(*MARKET, "1m", *bounds).fetch(months_connection)
        assert row[3:] == (None, None, None, None)
        falls = analysis.drawdown(*MARKET, "1m", *bounds).fetch(months_connection)
        assert [fall.drawdown for fall in falls] == [None, None, None, D(0), D("-0.2")]
        correlation = analysis.return_correlation(*MARKET, *MARKET, "1m", *bounds)
        assert correlation.fetch(months_connection)[0][1:] == (None, None)


def test_correlation_and_beta_are_those_of_numpy(months_connection: Connection) -> None:
    own, other = walk(1, 400), walk(2, 400, OTHER, gap=7)
    # half of the first market's moves are the other's
    mixed = [
        t._replace(price=round((t.price * o.price).sqrt(), 2))
        for t, o in zip(own, (walk(2, 400, gap=9)), strict=True)
    ]
    with example(months_connection):
        insert_trades(months_connection, [*mixed, *other])
        bounds = MARCH, MARCH + 6 * DAY
        frames = [
            queries.candles(*m, "1h", *bounds).pandas(months_connection, floats=True)
            for m in (MARKET, OTHER)
        ]
        joined = pd.merge(*frames, on="bucket")
        x, y = (np.diff(np.log(joined[name].to_numpy(float))) for name in ("close_x", "close_y"))
        expected = [np.corrcoef(x, y)[0, 1], np.cov(x, y)[0, 1] / np.var(y, ddof=1)]
        statement = analysis.return_correlation(*MARKET, *OTHER, "1h", *bounds)
        (row,) = statement.fetch(months_connection)
        assert row.returns == len(x)
        assert [float(v or 0) for v in row[1:]] == pytest.approx(expected, 1e-10)
        # of itself
        (one,) = analysis.return_correlation(*MARKET, *MARKET, "1h", *bounds).fetch(
            months_connection
        )
        assert one[1:] == (1, 1)
        (none,) = analysis.return_correlation(*MARKET, "NONE", "x", "1h", *bounds).fetch(
            months_connection
        )
        assert none == ReturnCorrelation(0, None, None)


def test_mistaken_arguments_are_refused() -> None:
    for wrong in (0, -1, Decimal("NaN"), 0.5):
        with pytest.raises(ValueError, match="periods_per_year is"):
            analysis.realized_volatility(*MARKET, "1h", MARCH, MARCH + DAY, wrong)  # type: ignore[arg-type]
