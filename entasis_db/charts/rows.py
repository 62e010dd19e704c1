"""Charts of the rows of any query: what is across, what is drawn, and what tells lines apart."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from entasis_db.charts.candles import MOST_BUCKETS
from entasis_db.charts.model import Chart, ChartError, Line, Stick, Where

MOST_POINTS = 50_000
"""Of all lines of a chart: more than a screen can show."""
MOST_LINES = 14

_PANES = 4
_PRICES = ("open", "high", "low", "close")
_NEVER = ("number", "id", "trade_id", "first_trade_id", "last_trade_id", "first_id", "last_id")


def of_rows(
    title: str,
    rows: Sequence[Any],
    *,
    across: str | None = None,
    columns: Sequence[str] = (),
    apart: Sequence[str] | None = None,
) -> Chart:
    """Chart rows of one query (named tuples), by the names of their columns.

    ``across`` is a column of times or numbers, by default the first of times, or else of numbers.
    ``columns`` are drawn, each in a pane of its own: by default open, high, low and close as
    candles where rows have them, or else the first four columns of numbers. Rows that differ in the
    columns ``apart`` (by default those of text and spans) are lines of their own. What is not drawn
    is in the notes. Raises ChartError where there is nothing to draw, or too much.
    """
    if not rows:
        raise ChartError("there is no row to draw; choose another range")
    names = rows[0]._fields
    for name in (*((across,) if across else ()), *columns, *(apart or ())):
        if name not in names:
            raise ChartError(f"these rows have no column {name}: they have {', '.join(names)}")
    if set(_PRICES) <= set(names) and not columns and not across:
        return _bars(title, rows)
    at = across or _first(rows, names)
    drawn = list(columns) or _numbers(rows, [n for n in names if n != at and n not in _NEVER])
    if not drawn:
        raise ChartError(f"these rows have no numbers beside {at}")
    shown = drawn if columns else drawn[:_PANES]
    keys = _apart(rows, names, at) if apart is None else list(apart)
    lines = list(_lines(rows, at, shown, keys))
    notes = [
        f"Not drawn: {', '.join(left)}; name columns to choose."
        for left in [drawn[len(shown) :]]
        if left
    ]
    is_time = isinstance(_known(rows, at), datetime)
    return Chart(title, lines=lines, across="" if is_time else at, notes=notes)


def _bars(title: str, rows: Sequence[Any]) -> Chart:
    if len(rows) > MOST_BUCKETS:
        raise ChartError(f"that are {len(rows):,} bars: choose a shorter range or larger bars")
    at = "bucket" if "bucket" in rows[0]._fields else "opened_at"
    sticks = [
        Stick(
            getattr(row, at),
            row.open,
            row.high,
            row.low,
            row.close,
            getattr(row, "volume", None),
            getattr(row, "vwap", None),
            getattr(row, "trades", None),
        )
        for row in rows
    ]
    return Chart(title, sticks, is_regular=False, notes=["Bars stand side by side."])


def _known(rows: Iterable[Any], name: str) -> Any:
    """Return the first value of a column that is not None."""
    return next((value for row in rows if (value := getattr(row, name)) is not None), None)


def _is_number(value: object) -> bool:
    return isinstance(value, Decimal | int) and not isinstance(value, bool)


def _first(rows: Sequence[Any], names: Sequence[str]) -> str:
    for wanted in (lambda value: isinstance(value, datetime), _is_number):
        for name in names:
            if name not in _NEVER and wanted(_known(rows, name)):
                return name
    raise ChartError("these rows have neither times nor numbers")


def _numbers(rows: Sequence[Any], names: Sequence[str]) -> list[str]:
    return [name for name in names if _is_number(_known(rows, name))]


def _apart(rows: Sequence[Any], names: Sequence[str], at: str) -> list[str]:
    """Return the columns of text and spans that differ between rows."""
    return [
        name
        for name in names
        if name != at
        and isinstance(_known(rows, name), str | timedelta)
        and len({getattr(row, name) for row in rows}) > 1
    ]


def _lines(
    rows: Sequence[Any], at: str, shown: Sequence[str], keys: Sequence[str]
) -> Iterable[Line]:
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        if getattr(row, at) is not None:
            groups.setdefault(tuple(getattr(row, key) for key in keys), []).append(row)
    if len(groups) * len(shown) > MOST_LINES:
        raise ChartError(
            f"that are {len(groups) * len(shown)} lines, more than {MOST_LINES}: "
            "choose fewer columns, or ask for less"
        )
    if len(rows) * len(shown) > MOST_POINTS:
        raise ChartError(
            f"that are {len(rows) * len(shown):,} points, more than {MOST_POINTS:,}: "
            "choose a shorter range or fewer columns"
        )
    for pane, name in enumerate(shown):
        for group, members in groups.items():
            points = [
                (_where(getattr(row, at), at), _amount(getattr(row, name), name)) for row in members
            ]
            points.sort(key=lambda point: point[0])
            style = "points" if len({place for place, _ in points}) < len(points) else "line"
            called = " ".join([*map(str, group), name])
            yield Line(called, points, style, pane)  # type: ignore[arg-type]


def _where(value: Any, name: str) -> Where:
    if isinstance(value, datetime):
        return value
    if _is_number(value):
        return Decimal(value)
    raise ChartError(f"{name} has neither times nor numbers")


def _amount(value: Any, name: str) -> Decimal | None:
    if value is None:
        return None
    if not _is_number(value):
        raise ChartError(f"{name} has no numbers")
    return Decimal(value)
