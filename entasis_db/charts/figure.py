"""A chart as a figure of a page, for chart.js."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

from entasis_db.charts.model import Chart, Line, Where
from entasis_db.pages.element import data, element, outside
from entasis_db.pages.page import page

_SLOTS = 4_000
"""The library knows places by their number. With so many across, a place is right to less than the
width of a pixel."""
_MOST_PLACES = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def figure(chart: Chart, *, titled: bool = True) -> Element:
    """Return the figure, with the values as text."""
    return element(
        "figure",
        element("figcaption", outside(chart.title)) if titled else None,
        element("div", class_="reading"),
        element("div", class_="canvas"),
        element("p", " ".join(chart.notes), class_="faint") if chart.notes else None,
        data(specification(chart)),
        class_="chart",
    )


def document(chart: Chart, made: str) -> str:
    """Return a page with this chart alone. ``made``: when and of what."""
    without = element("noscript", "A script draws this chart.")
    content = element("div", figure(chart, titled=False), without, class_="alone")
    return page(chart.title, element("h1", outside(chart.title)), content, charts=True, made=made)


def specification(chart: Chart) -> dict[str, Any]:
    """Return what chart.js reads: times as seconds or slots, numbers as text."""
    axis, slots, blanks = _placed(chart)
    times = [*(s.at for s in chart.sticks), *_times(chart.lines)]
    steps = {(at - _EPOCH).total_seconds() % 86400 for at in times}
    has_volume = any(stick.volume is not None for stick in chart.sticks)
    return {
        "axis": axis,
        "clock": steps != {0.0},
        "seconds": any(step % 60 for step in steps),
        "places": _places(p for s in chart.sticks for p in (s.open, s.high, s.low, s.close)),
        "candles": [
            [
                slots[number],
                *(f"{price:f}" for price in (s.open, s.high, s.low, s.close)),
                *(None if n is None else f"{n:f}" for n in (s.volume, s.vwap)),
                s.trades,
            ]
            for number, s in enumerate(chart.sticks)
        ],
        "hasVolume": has_volume,
        "hasVwap": any(stick.vwap is not None for stick in chart.sticks),
        "blanks": blanks,
        "lines": [_line(line, axis) for line in chart.lines],
        "reading": _reading(chart),
    }


def _reading(chart: Chart) -> str:
    """Say what is drawn, for when nothing is under the crosshair."""
    if chart.sticks:
        first, last = chart.sticks[0].at, chart.sticks[-1].at
        return (
            f"{len(chart.sticks):,} drawn, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}; "
            f"last close {chart.sticks[-1].close:f}"
        )
    points = sum(value is not None for line in chart.lines for _, value in line.points)
    names = ", ".join(line.name for line in chart.lines)
    return f"{points:,} points: {names}" + (f"; across: {chart.across}" if chart.across else "")


def _times(lines: Iterable[Line]) -> list[datetime]:
    return [at for line in lines for at, _ in line.points if isinstance(at, datetime)]


def _placed(chart: Chart) -> tuple[dict[str, Any], list[int], list[list[int]]]:
    """Choose the axis; return it, the slot of each stick, and the slots that stay empty."""
    if chart.sticks and not chart.is_regular:
        labels = [f"{stick.at:%H:%M:%S}" for stick in chart.sticks]
        return {"kind": "order", "labels": labels}, list(range(len(labels))), []
    if chart.sticks:
        seconds = [_seconds(stick.at) for stick in chart.sticks]
        return {"kind": "time"}, seconds, _ranges([_seconds(at) for at in chart.blanks])
    return _grid([at for line in chart.lines for at, _ in line.points])


def _grid(places: Sequence[Where]) -> tuple[dict[str, Any], list[int], list[list[int]]]:
    """Lay a grid of round steps over places, all of whose slots are there, and most empty."""
    numbers = [_number(at) for at in places]
    low, high = min(numbers), max(numbers)
    is_time = isinstance(places[0], datetime)
    step = _round_step(high - low)
    if is_time and step >= 1:
        start, width = int(low // 1), max(1, int(step))
        count = int((high - start) // width) + 1
        return {"kind": "time", "origin": start, "step": width}, [], [[start, width, count]]
    axis = {
        "kind": "grid",
        "step": float(step),
        "places": min(_MOST_PLACES, max(0, -int(step.normalize().as_tuple().exponent))),
        "instants": is_time,
    }
    first, last = (int((end / step).to_integral_value()) for end in (low, high))
    return axis, [], [[first, 1, last - first + 1]]


def _round_step(span: Decimal) -> Decimal:
    """Return 1, 2 or 5 times a power of ten, of which some thousands make up a span."""
    if not span:
        return Decimal(1)
    rough = span / _SLOTS
    power = Decimal(1).scaleb(rough.adjusted())
    return next(power * n for n in (1, 2, 5, 10) if power * n >= rough)


def _line(line: Line, axis: dict[str, Any]) -> dict[str, Any]:
    slots: dict[int, str | None] = {}
    for at, value in line.points:
        slot = _slot(_number(at), axis)
        while slot in slots:  # as near as there is room
            slot += 1 if axis["kind"] == "grid" else axis.get("step", 1)
        slots[slot] = None if value is None else f"{value:f}"
    return {
        "name": line.name,
        "style": line.style,
        "pane": line.pane,
        "places": _places(value for _, value in line.points if value is not None),
        "points": list(slots.items()),
    }


def _slot(number: Decimal, axis: dict[str, Any]) -> int:
    step = Decimal(str(axis["step"]))
    if axis["kind"] == "time":
        return int(axis["origin"]) + int((number - axis["origin"]) // step) * int(step)
    return int((number / step).to_integral_value())


def _number(at: Where) -> Decimal:
    if isinstance(at, Decimal):
        return at
    since = at - _EPOCH
    return since.days * 86400 + since.seconds + Decimal(since.microseconds) / 1_000_000


def _seconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)


def _ranges(seconds: Sequence[int]) -> list[list[int]]:
    """Write a list of ascending numbers as ranges: start, step, count."""
    steps = [after - before for before, after in pairwise(seconds)]
    found: list[list[int]] = []
    for number, start in enumerate(seconds):
        if found and number and found[-1][1] in (0, steps[number - 1]):
            found[-1][1] = steps[number - 1]
            found[-1][2] += 1
        else:
            found.append([start, 0, 1])
    return found


def _places(numbers: Iterable[Decimal]) -> int:
    """Return how many decimals an axis needs: what tells a thousandth of them."""
    found = list(numbers)
    if not found:
        return 0
    stated = max(0, -min(int(number.normalize().as_tuple().exponent) for number in found))
    span = max(found) - min(found)
    return min(_MOST_PLACES, stated, max(0, 3 - span.adjusted()) if span else stated)
