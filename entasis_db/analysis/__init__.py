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
from entasis_db.analysis.options import (
    DailyIv,
    ExpiryIv,
    IvRank,
    PutCallOpenInterest,
    RiskReversal,
    iv_history,
    iv_rank,
    iv_term_structure,
    put_call_open_interest,
    risk_reversals,
)
from entasis_db.analysis.portfolios import (
    Drawdown,
    Exposure,
    PnlPoint,
    portfolio_drawdown,
    portfolio_exposure,
    portfolio_pnl,
)
from entasis_db.analysis.prices import PriceAsOf, prices_asof
from entasis_db.analysis.scores import (
    CalibrationBin,
    PredictionAccuracy,
    prediction_accuracy,
    prediction_calibration,
)

__all__ = [
    "Bar",
    "CalibrationBin",
    "DailyIv",
    "Drawdown",
    "ExpiryIv",
    "Exposure",
    "IvRank",
    "PnlPoint",
    "PredictionAccuracy",
    "PriceAsOf",
    "PutCallOpenInterest",
    "RiskReversal",
    "SessionCandle",
    "WideCandle",
    "candles_of_width",
    "iv_history",
    "iv_rank",
    "iv_term_structure",
    "portfolio_drawdown",
    "portfolio_exposure",
    "portfolio_pnl",
    "prediction_accuracy",
    "prediction_calibration",
    "prices_asof",
    "put_call_open_interest",
    "quote_volume_bars",
    "risk_reversals",
    "session_candles",
    "tick_bars",
    "volume_bars",
]
