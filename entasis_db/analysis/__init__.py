"""Queries for analysis: one function each, which checks its arguments and returns a Statement.

    from entasis_db import analysis

    rows = analysis.prices_asof("BTCUSDT", "binance-spot", moments).fetch(connection)

Each is an SQL function of its name in schema ``entasis`` too, for psql, Grafana and BI tools: what
it computes is defined there, in one file under ``schema/core/analysis``. Rows, Arrow, ranges and
errors are those of ``entasis_db.queries``. See docs/analysis for definitions and their sources.
"""

from entasis_db.analysis.bars import (
    Bar,
    SessionCandle,
    WideCandle,
    candles_of_width,
    quote_volume_bars,
    session_candles,
    tick_bars,
    volume_bars,
)
from entasis_db.analysis.prices import PriceAsOf, prices_asof

__all__ = [
    "Bar",
    "PriceAsOf",
    "SessionCandle",
    "WideCandle",
    "candles_of_width",
    "prices_asof",
    "quote_volume_bars",
    "session_candles",
    "tick_bars",
    "volume_bars",
]
