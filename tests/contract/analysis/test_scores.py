"""Accuracy and calibration of predictions, compared with pandas, fractions and by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import sqrt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import analysis, queries
from entasis_db.analysis import PredictionAccuracy
from entasis_db.queries import PredictionScore, Trade
from tests.contract.analysis.support import same, sure
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    SECOND,
    Session,
    example,
    insert_trades,
    prediction,
    sessions,
    trade,
    trades_at,
)
from tests.db import Connection, ensure
from tests.make import D, insert

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

TYPES = ("price", "return", "direction", "own")


def divided(over: Fraction | int, under: Fraction | int) -> Fraction | None:
    return Fraction(over) / Fraction(under) if under else None


def less(quotient: Fraction | None) -> Fraction | None:
    return None if quotient is None else 1 - quotient


def side(score: PredictionScore) -> int:
    assert score.target_price is not None
    assert score.base_price is not None
    return (score.target_price > score.base_price) - (score.target_price < score.base_price)


def check_accuracy(row: PredictionAccuracy, own: Sequence[PredictionScore]) -> None:
    """Compare with sums over what happened to each prediction."""
    scored = [s for s in own if s.hit is not None]
    measured = [s for s in scored if s.error is not None]
    assert (row.predictions, row.scored, row.measured) == (len(own), len(scored), len(measured))
    n, hits = len(scored), sum(bool(s.hit) for s in scored)
    most = max(sum(side(s) == one for s in scored) for one in (-1, 0, 1))
    assert same(row.hit_rate, divided(hits, n))
    assert same(row.naive_hit_rate, divided(most, n))
    assert same(row.hit_skill, divided(hits - most, n - most))
    brier = divided(sum((Fraction(s.confidence) - bool(s.hit)) ** 2 for s in scored), n)
    naive = divided(hits * (n - hits), n * n)
    assert same(row.brier, brier)
    assert same(row.naive_brier, naive)
    skill = None if brier is None or not naive else 1 - brier / naive
    assert same(row.brier_skill, skill)
    errors = [Fraction(s.error or 0) for s in measured]
    m = len(errors)
    assert same(row.mean_error, divided(sum(errors), m))
    assert same(row.mae, divided(sum(map(abs, errors)), m))
    squares = sum((e * e for e in errors), Fraction(0))
    assert rooted(row.rmse, divided(squares, m))
    if row.prediction_type == "price":
        naives = [Fraction(s.base_price or 0) - Fraction(s.target_price or 0) for s in measured]
    else:
        naives = [-Fraction(s.actual_value or 0) for s in measured]
    if row.prediction_type in ("price", "return"):
        naive_squares = sum((e * e for e in naives), Fraction(0))
        assert same(row.naive_mae, divided(sum(map(abs, naives)), m))
        assert rooted(row.naive_rmse, divided(naive_squares, m))
        assert same(row.skill, less(divided(squares, naive_squares)) if m else None)
    else:
        assert (row.naive_mae, row.naive_rmse, row.skill) == (None, None, None)


def rooted(found: Decimal | None, square: Fraction | None) -> bool:
    if found is None or square is None:
        return found is square
    return abs(float(found) - sqrt(square)) <= 1e-12 * max(1.0, sqrt(square))


times = st.integers(-6, 6).map(lambda n: MARCH + n * 20 * SECOND)
prices = st.sampled_from([D(p) for p in ("1", "2", "2", "3", "7.000000000001")])
asked = st.lists(
    st.tuples(
        times,
        st.sampled_from((None, timedelta(0), 40 * SECOND, 3 * MINUTE, 40_000 * DAY)),
        st.sampled_from(TYPES),
        st.sampled_from(("-1", "0", "0.5", "2")),
        st.sampled_from(("0", "0.1", "0.2999", "0.3", "0.999999999999999999", "1")),
    ),
    min_size=1,
    max_size=16,
    unique_by=lambda row: row[:3],  # the key
)


@given(
    trades=trades_at(times, prices), asked=asked, bins=st.sampled_from((1, 3, 10)), session=sessions
)
def test_accuracy_and_calibration_are_sums_over_the_scores(
    months_connection: Connection,
    trades: list[Trade],
    asked: list[tuple[datetime, timedelta | None, str, str, str]],
    bins: int,
    session: Session,
) -> None:
    made = [
        sure(prediction(n, at, None if ahead is None else at + ahead, kind, D(value)), confidence)
        for n, (at, ahead, kind, value, confidence) in enumerate(asked, 1)
    ]
    strangers = [
        prediction(1000, MARCH, MARCH, model_id="other"),
        prediction(1001, MARCH, MARCH, symbol="ETHUSDT"),
    ]
    with example(months_connection, session):
        insert_trades(months_connection, trades)
        insert(months_connection, "predictions", [*made, *strangers])
        for start, end in ((MARCH - HOUR, MARCH + HOUR), (MARCH, MARCH + MINUTE)):
            scores = queries.prediction_scores("m", *MARKET, start, end).fetch(months_connection)
            rows = analysis.prediction_accuracy("m", *MARKET, start, end).fetch(months_connection)
            grouped: dict[tuple[str, timedelta | None], list[PredictionScore]] = {}
            for s in scores:
                horizon = None if s.target_time is None else s.target_time - s.timestamp
                grouped.setdefault((s.prediction_type, horizon), []).append(s)
            keys = sorted(grouped, key=lambda k: (k[0], k[1] is None, k[1] or timedelta(0)))
            assert [(row.prediction_type, row.horizon) for row in rows] == keys
            for row, key in zip(rows, keys, strict=True):
                check_accuracy(row, grouped[key])
            check_calibration(months_connection, scores, (start, end), bins)


def check_calibration(
    connection: Connection,
    scores: Sequence[PredictionScore],
    span: tuple[datetime, datetime],
    bins: int,
) -> None:
    """Compare with pandas' bins, which are cut by bounds and not computed."""
    rows = analysis.prediction_calibration("m", *MARKET, *span, bins).fetch(connection)
    scored = [s for s in scores if s.hit is not None]
    frame = pd.DataFrame(
        {
            "kind": [s.prediction_type for s in scored],
            "horizon": [(s.target_time or s.timestamp) - s.timestamp for s in scored],
            # Decimals are compared exactly
            "bin": [
                next(
                    k for k in range(bins, 0, -1) if k == 1 or s.confidence >= Fraction(k - 1, bins)
                )
                for s in scored
            ],
            "confidence": [float(s.confidence) for s in scored],
            "hit": [float(bool(s.hit)) for s in scored],
        }
    )
    expected = frame.groupby(["kind", "horizon", "bin"], sort=True).agg(
        count=("hit", "size"), confidence=("confidence", "mean"), hit=("hit", "mean")
    )
    found = [(r.prediction_type, pd.Timedelta(r.horizon), r.bin) for r in rows]
    assert found == list(expected.index)
    for row, (_, numbers) in zip(rows, expected.iterrows(), strict=True):
        assert row.scored == numbers["count"]
        assert float(row.mean_confidence) == pytest.approx(numbers["confidence"], abs=1e-12)
        assert float(row.hit_rate) == pytest.approx(numbers["hit"], abs=1e-12)
        assert same(row.from_confidence, Fraction(row.bin - 1, bins))
        assert same(row.to_confidence, Fraction(row.bin, bins))


def test_a_model_that_repeats_the_last_price_has_no_skill(months_connection: Connection) -> None:
    with example(months_connection):
        insert_trades(
            months_connection,
            [trade(MARCH + n * MINUTE, 1, D(100 + n * 37 % 11)) for n in range(30)],
        )
        made = [
            prediction(
                n, MARCH + n * MINUTE, MARCH + (n + 5) * MINUTE, "price", D(100 + n * 37 % 11)
            )
            for n in range(20)
        ]
        insert(months_connection, "predictions", made)
        (row,) = analysis.prediction_accuracy("m", *MARKET, MARCH, MARCH + DAY).fetch(
            months_connection
        )
        assert row.skill == 0
        assert (row.mae, row.rmse) == (row.naive_mae, row.naive_rmse)


def test_prices_at_zero_and_below_and_one_prediction_and_none(
    months_connection: Connection,
) -> None:
    """Of a return from a price at 0 the side is known, and no error."""
    market = ("BTC-FS-27DEC24_PERP", "deribit")
    with example(months_connection):
        months_connection.execute(
            'SELECT entasis.set_market(%s, %s, \'{"kind": "combo"}\')', market
        )
        insert_trades(
            months_connection,
            [
                trade(MARCH, 1, D(0), market=market),
                trade(MARCH + HOUR, 2, D(-5), market=market),
                trade(MARCH + 2 * HOUR, 3, D(-3), market=market),
            ],
        )
        made = [
            prediction(
                1, MARCH + MINUTE, MARCH + HOUR + MINUTE, "return", D("-0.1"), symbol=market[0]
            ),
            prediction(
                2,
                MARCH + HOUR + MINUTE,
                MARCH + 2 * HOUR + MINUTE,
                "price",
                D(-4),
                symbol=market[0],
            ),
        ]
        insert(months_connection, "predictions", made)
        price, ratio = analysis.prediction_accuracy("m", *market, MARCH, MARCH + DAY).fetch(
            months_connection
        )
        assert (ratio.scored, ratio.measured, ratio.hit_rate) == (1, 0, 1)
        assert (ratio.mae, ratio.rmse, ratio.skill, ratio.hit_skill) == (None, None, None, None)
        assert (price.mean_error, price.naive_mae, price.skill) == (D(-1), D(2), D("0.75"))
        for statement in (
            analysis.prediction_accuracy("m", *market, MARCH + DAY, MARCH + 2 * DAY),
            analysis.prediction_accuracy("none", *market, MARCH, MARCH + DAY),
        ):
            assert statement.fetch(months_connection) == []


def test_a_target_that_is_still_to_come_is_not_scored(connection: Connection) -> None:
    now = datetime.now(UTC)
    ensure(connection, "market_data", now - HOUR, now + HOUR)
    insert_trades(connection, [trade(now - 2 * MINUTE, 1)])
    insert(connection, "predictions", [prediction(1, now - MINUTE, now + HOUR, "direction")])
    (row,) = analysis.prediction_accuracy("m", *MARKET, now - HOUR, now).fetch(connection)
    assert (row.predictions, row.scored, row.measured) == (1, 0, 0)
    assert row[4:10] == (None,) * 6
    assert analysis.prediction_calibration("m", *MARKET, now - HOUR, now).fetch(connection) == []


def test_mistaken_arguments_are_refused(connection: Connection) -> None:
    with pytest.raises(ValueError, match="bins is 0: give 1 or more"):
        analysis.prediction_calibration("m", *MARKET, MARCH, MARCH + DAY, 0)
    with pytest.raises(ValueError, match="not before to_time"):
        analysis.prediction_accuracy("m", *MARKET, MARCH, MARCH)
    insert(connection, "predictions", [prediction(1, MARCH, MARCH)])
    rows = connection.execute(
        "SELECT * FROM entasis.prediction_calibration('m', %s, %s, %s, bins => 0)", [*MARKET, MARCH]
    )
    assert rows.fetchall() == []
