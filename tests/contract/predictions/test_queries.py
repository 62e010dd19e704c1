"""Queries of predictions: scores against what happened."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import queries
from entasis_db.queries import (
    Model,
    Prediction,
    PredictionScore,
    Trade,
)
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    NUMBERS,
    SECOND,
    Session,
    bucket_of,
    example,
    in_order,
    insert_trades,
    prediction,
    prices,
    score_times,
    sessions,
    tied,
    trade,
    trades_at,
)
from tests.engines import Database
from tests.make import MICROSECOND, insert

pytestmark = pytest.mark.native_speed_when_short


def price_at(
    trades: Sequence[Trade], moment: datetime | None, lookback: timedelta
) -> Decimal | None:
    if moment is None or moment > datetime.now(UTC):
        return None
    minutes: dict[datetime, Trade] = {bucket_of("1m", t.timestamp): t for t in in_order(trades)}
    closes = [t for t in minutes.values() if moment - lookback < t.timestamp <= moment]
    return closes[-1].price if closes else None


def sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)


def check_score(
    score: PredictionScore, trades: Sequence[Trade], asked: Prediction, lookback: timedelta
) -> None:
    assert all(getattr(score, name) == getattr(asked, name) for name in asked.__slots__)
    base = price_at(trades, asked.timestamp, lookback)
    target = price_at(trades, asked.target_time, lookback)
    assert (score.base_price, score.target_price) == (base, target)
    value = asked.predicted_value
    match asked.prediction_type:
        case "price":
            assert score.actual_value == target
            assert score.error == (None if target is None else value - target)
        case "return" if base is not None and target is not None:
            exact = Fraction(target) / Fraction(base) - 1
            assert score.actual_value is not None
            # half of the sixteenth digit at most
            assert abs(Fraction(score.actual_value) - exact) <= abs(exact) * Fraction(1, 10**15) / 2
            with localcontext(prec=200):
                assert score.error == value - score.actual_value
        case "direction" if base is not None and target is not None:
            assert score.actual_value == sign(target - base)
            assert score.error == value - sign(target - base)
        case _:
            assert score.actual_value is None
            assert score.error is None
    if base is None or target is None or asked.prediction_type == "own":
        assert score.hit is None
    else:
        predicted = value - base if asked.prediction_type == "price" else value
        assert score.hit is (sign(predicted) == sign(target - base))


def series(rows: list[Prediction]) -> list[Model]:
    times: dict[tuple[str, str, str], list[datetime]] = {}
    for p in rows:
        times.setdefault((p.model_id, p.symbol, p.prediction_type), []).append(p.timestamp)
    return [Model(*key, min(times[key]), max(times[key])) for key in sorted(times)]


@given(
    trades=trades_at(score_times, prices),
    asked=tied(score_times).flatmap(
        lambda some: st.lists(
            st.tuples(
                some,
                st.none()
                | st.sampled_from((timedelta(0), 20 * SECOND, MINUTE, 3 * MINUTE, 40 * DAY)),
                st.sampled_from(("price", "return", "direction", "own")),
                st.sampled_from((Decimal(-1), Decimal(0), Decimal("0.01"), Decimal(3))),
            ),
            min_size=2,
            max_size=8,
            unique_by=lambda row: row[:3],  # the key
        )
    ),
    lookback=st.sampled_from((MICROSECOND, 20 * SECOND, MINUTE, DAY)),
    session=sessions,
)
def test_a_prediction_is_scored_by_what_happened(
    months_connection: psycopg.Connection[Any],
    trades: list[Trade],
    asked: list[tuple[datetime, timedelta | None, str, Decimal]],
    lookback: timedelta,
    session: Session,
) -> None:
    made = [
        prediction(n, time, None if ahead is None else time + ahead, kind, value)
        for n, (time, ahead, kind, value) in zip(NUMBERS, asked, strict=False)
    ]
    strangers = [
        prediction(1000, MARCH, None, model_id="other"),
        prediction(1001, MARCH, None, symbol="ETHUSDT"),
    ]
    with example(months_connection, session):
        insert_trades(months_connection, trades)
        insert(months_connection, "predictions", [*made, *strangers])
        made.sort(key=lambda p: (p.timestamp, p.id))
        first, last = made[0].timestamp, made[-1].timestamp
        # ranges that begin and end where a prediction lies
        for start, end in ((first - SECOND, last), (first, last + SECOND)):
            expected = [p for p in made if start <= p.timestamp < end]
            assert (
                queries.predictions("m", MARKET[0], start, end).fetch(months_connection) == expected
            )
            scores = queries.prediction_scores("m", *MARKET, start, end, lookback).fetch(
                months_connection
            )
            assert [score.id for score in scores] == [p.id for p in expected]
            for score, p in zip(scores, expected, strict=True):
                check_score(score, trades, p, lookback)
        assert queries.models().fetch(months_connection) == series([*made, *strangers])


@pytest.mark.one_role
@pytest.mark.parametrize(
    ("prediction_type", "value", "actual", "hit"),
    [
        ("price", "105", "110", True),  # too low, but on the right side of 100
        ("price", "95", "110", False),
        ("price", "100", "110", False),
        ("return", "0.2", "0.1", True),
        ("return", "-0.1", "0.1", False),
        ("direction", "7", "1", True),
        ("direction", "0", "1", False),
        ("direction", "-1", "1", False),
        ("own", "110", None, None),
    ],
)
def test_a_score_says_what_happened_and_whether_the_side_was_right(
    months: Database, prediction_type: str, value: str, actual: str | None, hit: bool | None
) -> None:
    with months.connect() as connection, example(connection):
        insert_trades(
            connection, [trade(MARCH, 1, Decimal(100)), trade(MARCH + HOUR, 1, Decimal(110))]
        )
        asked = prediction(1, MARCH + MINUTE, MARCH + 2 * HOUR, prediction_type, Decimal(value))
        insert(connection, "predictions", [asked])
        score = queries.prediction_scores("m", *MARKET, MARCH, MARCH + DAY).one(connection)
        assert score is not None
        assert (score.base_price, score.target_price) == (Decimal(100), Decimal(110))
        assert score.hit is hit
        if actual is None:
            assert (score.actual_value, score.error) == (None, None)
        else:
            assert score.actual_value == Decimal(actual)
            assert score.error == Decimal(value) - Decimal(actual)


def test_a_target_that_is_still_to_come_has_no_price(connection: psycopg.Connection[Any]) -> None:
    now = datetime.now(UTC)
    connection.execute(
        "SELECT entasis.ensure_partitions('market_data', %s, %s)", (now - HOUR, now + HOUR)
    )
    insert_trades(connection, [trade(now - 2 * MINUTE, 1)])
    asked = [
        prediction(1, now - MINUTE, now - SECOND),
        prediction(2, now - MINUTE, now + HOUR),
    ]
    insert(connection, "predictions", asked)
    past, future = queries.prediction_scores("m", *MARKET, now - HOUR, now).fetch(connection)
    assert (past.base_price, past.target_price) == (Decimal(1), Decimal(1))
    assert (future.base_price, future.target_price, future.hit) == (Decimal(1), None, None)


@pytest.mark.one_role
def test_a_lookback_of_a_day_has_24_hours_when_the_sessions_day_has_23(months: Database) -> None:
    at = datetime(2024, 3, 10, 12, tzinfo=UTC)
    with months.connect() as connection, example(connection, Session("America/New_York")):
        insert_trades(connection, [trade(at - 23 * HOUR - 30 * MINUTE, 1)])
        insert(connection, "predictions", [prediction(1, at, at)])
        (score,) = queries.prediction_scores("m", *MARKET, at, at + SECOND).fetch(connection)
        assert (score.base_price, score.target_price) == (Decimal(1), Decimal(1))
