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
from entasis_db.analysis.flow import (
    Imbalance,
    ProfileLevel,
    Twap,
    Vwap,
    order_flow_imbalance,
    twap,
    volume_profile,
    vwap,
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
from entasis_db.analysis.prices import (
    Basis,
    BasisAsOf,
    PredictionMarkout,
    PriceAsOf,
    TradeMarkout,
    basis,
    basis_asof,
    prediction_markouts,
    prices_asof,
    trade_markouts,
)
from entasis_db.analysis.scores import (
    CalibrationBin,
    PredictionAccuracy,
    prediction_accuracy,
    prediction_calibration,
)
from entasis_db.analysis.volatility import (
    PriceDrawdown,
    RealizedVolatility,
    Return,
    ReturnCorrelation,
    drawdown,
    realized_volatility,
    return_correlation,
    returns,
)

__all__ = [
    "Bar",
    "Basis",
    "BasisAsOf",
    "CalibrationBin",
    "DailyIv",
    "Drawdown",
    "ExpiryIv",
    "Exposure",
    "Imbalance",
    "IvRank",
    "PnlPoint",
    "PredictionAccuracy",
    "PredictionMarkout",
    "PriceAsOf",
    "PriceDrawdown",
    "ProfileLevel",
    "PutCallOpenInterest",
    "RealizedVolatility",
    "Return",
    "ReturnCorrelation",
    "RiskReversal",
    "SessionCandle",
    "TradeMarkout",
    "Twap",
    "Vwap",
    "WideCandle",
    "basis",
    "basis_asof",
    "candles_of_width",
    "drawdown",
    "iv_history",
    "iv_rank",
    "iv_term_structure",
    "order_flow_imbalance",
    "portfolio_drawdown",
    "portfolio_exposure",
    "portfolio_pnl",
    "prediction_accuracy",
    "prediction_calibration",
    "prediction_markouts",
    "prices_asof",
    "put_call_open_interest",
    "quote_volume_bars",
    "realized_volatility",
    "return_correlation",
    "returns",
    "risk_reversals",
    "session_candles",
    "tick_bars",
    "trade_markouts",
    "twap",
    "volume_bars",
    "volume_profile",
    "vwap",
]
