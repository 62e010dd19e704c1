"""Candles drawn in a terminal."""

from datetime import timedelta
from decimal import Decimal

import pytest

from entasis_db import queries
from entasis_db.cli.chart import draw
from tests.make import NOON


def candle(minute: int, *prices: str) -> queries.Candle:
    at = NOON + timedelta(minutes=minute)
    return queries.Candle(
        "BTC", "x", at, *map(Decimal, prices), Decimal(1), Decimal(1), 1, at, 1, at, 1
    )


@pytest.fixture
def rising_and_falling() -> list[queries.Candle]:
    # open, high, low, close; 8 lines are 10 half-lines of price
    return [candle(0, "101", "109", "100", "105"), candle(1, "109", "109", "104", "105")]


def test_bodies_wicks_and_labels(rising_and_falling: list[queries.Candle]) -> None:
    drawn = draw(rising_and_falling, 40, 8)
    assert [line.rstrip() for line in drawn.plain.splitlines()] == [
        "│   ┃     109",
        "│   ┃",
        "┃   ╿",
        "┃",
        "╿         100",
        "+   -",
        "12:00",
        "2024-08-08 12:00 to 2024-08-08 12:01 UTC",
    ]
    colours = {str(span.style) for span in drawn.spans if drawn.plain[span.start] in "┃│╽╿+-╵"}
    assert colours == {"green", "red"}


def test_a_price_that_never_moves(rising_and_falling: list[queries.Candle]) -> None:
    drawn = draw([candle(n, "7", "7", "7", "7") for n in range(3)], 40, 8).plain.splitlines()
    assert sum("╹" in line or "╻" in line for line in drawn) == 1
    assert [line.split()[-1] for line in drawn[:5] if line.strip()] == ["7"]
    assert drawn[5].split() == ["=", "=", "="]


@pytest.mark.parametrize(("width", "shown"), [(80, 60), (25, 18), (3, 1)])
def test_only_the_newest_candles_that_fit(width: int, shown: int) -> None:
    drawn = draw([candle(n, "1", "12.25", "1", "2") for n in range(60)], width, 12).plain
    assert drawn.splitlines()[-3].count("+") == shown
    if shown < 60:
        assert drawn.endswith(f"to 2024-08-08 12:59 UTC, the newest {shown} of 60")
    assert len(drawn.splitlines()) == 12


def test_labels_have_the_decimals_they_need() -> None:
    drawn = draw([candle(0, "0.00001201", "0.0000125", "0.000012", "0.00001249")], 60, 20).plain
    labels = [float(line.split()[-1]) for line in drawn.splitlines()[:17] if " 0." in line]
    assert labels[0] == 0.0000125
    assert labels[-1] == 0.000012
    assert labels == sorted(set(labels), reverse=True)
    assert "E" not in drawn
