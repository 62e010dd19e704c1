"""How good a model's predictions are, against a naive forecast."""

from datetime import datetime, timedelta
from typing import NamedTuple

from entasis_db.queries.checks import check_range, check_span
from entasis_db.queries.rows import Computed
from entasis_db.queries.statement import Statement, statement_of

_DAY = timedelta(days=1)


class PredictionAccuracy(NamedTuple):
    """How good the predictions of one type and horizon are. None: nothing to divide by."""

    prediction_type: str
    """``price``, ``return``, ``direction`` or the model's own type, which is not scored."""
    horizon: timedelta | None
    """target_time - timestamp. None: no target_time was stated, so none is scored."""
    predictions: int
    """How many there are."""
    scored: int
    """How many have a hit, so both prices."""
    hit_rate: Computed | None
    """Share of hits among these."""
    naive_hit_rate: Computed | None
    """What always naming the most frequent side (up, down or none) would have hit."""
    hit_skill: Computed | None
    """(hit_rate - naive_hit_rate) / (1 - naive_hit_rate)."""
    brier: Computed | None
    """Mean of (confidence - hit) squared, hit being 1 or 0; from 0, the best, to 1."""
    naive_brier: Computed | None
    """That of always being as certain as hit_rate: hit_rate * (1 - hit_rate)."""
    brier_skill: Computed | None
    """1 - brier / naive_brier."""
    measured: int
    """How many of those that are scored have an error."""
    mean_error: Computed | None
    """Mean of the errors, in the unit of prediction_type; above 0: too high."""
    mae: Computed | None
    """Mean of the absolute errors; unit as of mean_error."""
    rmse: Computed | None
    """Root of the mean of the squared errors; unit as of mean_error."""
    naive_mae: Computed | None
    """mae of the naive forecast: of a price the price at timestamp, of a return 0. None for other
    types."""
    naive_rmse: Computed | None
    """rmse of the naive forecast."""
    skill: Computed | None
    """1 - (rmse / naive_rmse) squared: 1 at best, 0 if no better than the naive forecast."""


class CalibrationBin(NamedTuple):
    """How often a model was right when its confidence lay in one bin."""

    prediction_type: str
    """As PredictionAccuracy's."""
    horizon: timedelta
    """target_time - timestamp."""
    bin: int
    """Which bin it is, from 1."""
    from_confidence: Computed
    """Where the bin begins, included."""
    to_confidence: Computed
    """Where it ends, not included but in the last one."""
    scored: int
    """How many predictions with a hit lie in it; never 0."""
    mean_confidence: Computed
    """Mean of their confidence."""
    hit_rate: Computed
    """Share of hits among them."""


def prediction_accuracy(
    model_id: str,
    symbol: str,
    exchange: str,
    from_time: datetime,
    to_time: datetime,
    lookback: timedelta = _DAY,
) -> Statement[PredictionAccuracy]:
    """Scores of one model's predictions of one symbol, by type and horizon.

    Of those made in [from_time, to_time); what happened is what queries.prediction_scores says,
    with its lookback. Ordered by prediction_type and horizon, without a horizon last.
    """
    check_range(from_time, to_time)
    check_span("lookback", lookback)
    return statement_of(
        __name__,
        "prediction_accuracy",
        PredictionAccuracy,
        model_id=model_id,
        symbol=symbol,
        exchange=exchange,
        from_time=from_time,
        to_time=to_time,
        lookback=lookback,
    )


def prediction_calibration(
    model_id: str,
    symbol: str,
    exchange: str,
    from_time: datetime,
    to_time: datetime,
    bins: int = 10,
    lookback: timedelta = _DAY,
) -> Statement[CalibrationBin]:
    """Confidence against hits, by type, horizon and equal bins of confidence, in this order.

    Of the predictions that prediction_accuracy scores. A bin without one has no row.
    """
    check_range(from_time, to_time)
    check_span("lookback", lookback)
    if bins < 1:
        raise ValueError(f"bins is {bins}: give 1 or more")
    return statement_of(
        __name__,
        "prediction_calibration",
        CalibrationBin,
        model_id=model_id,
        symbol=symbol,
        exchange=exchange,
        from_time=from_time,
        to_time=to_time,
        bins=bins,
        lookback=lookback,
    )
