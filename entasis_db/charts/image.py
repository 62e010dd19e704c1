"""Charts as PNG and SVG, drawn by matplotlib."""

from datetime import datetime
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from entasis_db.charts.model import Chart, Line, Where
from entasis_db.extras import extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["png", "svg"]

_UP, _DOWN, _VWAP, _GRID = "#12805c", "#c0392b", "#1f5fbf", "#d9dce1"
_WIDTH, _DOTS = 10.0, 140
_STYLE = {
    "axes.edgecolor": _GRID,
    "axes.spines.left": False,
    "axes.spines.top": False,
    "font.size": 9,
    "svg.hashsalt": "entasis",  # the same chart is the same file
    "svg.fonttype": "none",
}


def image(chart: Chart, form: Format) -> bytes:
    """Draw a chart. Raises MissingExtraError where matplotlib is missing."""
    with extra("charts"):
        import matplotlib as mpl
        from matplotlib.figure import Figure
    with mpl.rc_context(_STYLE):
        # text is text: in names, $ would begin a formula
        drawn = _draw(chart, Figure)
        file = BytesIO()
        metadata = {"Date": None} if form == "svg" else {}
        drawn.savefig(file, format=form, dpi=_DOTS, metadata=metadata)
    return file.getvalue()


def _draw(chart: Chart, kind: "type[Figure]") -> "Figure":
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    has_volume = any(stick.volume is not None for stick in chart.sticks)
    lower = 1 + max((line.pane for line in chart.lines), default=-1)
    heights = [3.0] * bool(chart.sticks) + [1.0] * has_volume + [2.0] * lower
    made = kind(figsize=(_WIDTH, 1.2 + 1.3 * sum(heights)), layout="constrained")
    panes = list(made.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False))
    axes: list[Axes] = [row[0] for row in panes]
    made.suptitle(chart.title, x=0.01, ha="left", weight="bold", parse_math=False)
    for one in axes:
        one.grid(color=_GRID, linewidth=0.5)
        one.set_axisbelow(True)
        one.yaxis.tick_right()
        one.tick_params(length=0)
    if chart.is_regular and not chart.across:
        locator = AutoDateLocator()
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    if chart.sticks:
        _sticks(chart, axes, has_volume=has_volume)
    for number, line in enumerate(chart.lines):
        _line(axes[len(axes) - lower + line.pane], line, number)
    for one in axes[len(axes) - lower :] if lower else []:
        one.legend(loc="upper left", frameon=False, fontsize=8)
    notes = " ".join(chart.notes)
    under = chart.across or ("UTC" if chart.is_regular else "opened at, UTC")
    axes[-1].set_xlabel(f"{under}. {notes}" if notes else under, loc="left", parse_math=False)
    return made


def _sticks(chart: Chart, axes: "list[Axes]", *, has_volume: bool) -> None:
    """Draw candles where their time is, or side by side."""
    from matplotlib.dates import date2num
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    price, below = axes[0], axes[-1]
    if chart.is_regular:
        where = [float(date2num(stick.at)) for stick in chart.sticks]
        width = 0.7 * min((b - a for a, b in pairwise(where)), default=1 / 24 / 60)
    else:
        where, width = [float(n) for n in range(len(chart.sticks))], 0.7
        below.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        below.xaxis.set_major_formatter(
            FuncFormatter(
                lambda at, _: (
                    f"{chart.sticks[int(at)].at:%m-%d %H:%M:%S}"
                    if 0 <= at < len(chart.sticks) and at == int(at)
                    else ""
                )
            )
        )
    colours = [_DOWN if s.close < s.open else _UP for s in chart.sticks]
    numbers = [tuple(map(float, (s.open, s.high, s.low, s.close))) for s in chart.sticks]
    price.vlines(where, [n[2] for n in numbers], [n[1] for n in numbers], colours, linewidth=0.8)
    flat = 0.001 * (max(n[1] for n in numbers) - min(n[2] for n in numbers))
    bodies = [max(abs(n[3] - n[0]), flat) for n in numbers]
    price.bar(where, bodies, width, [min(n[0], n[3]) for n in numbers], color=colours)
    _vwap(chart, price, where)
    if has_volume:
        amounts = [float(s.volume or 0) for s in chart.sticks]
        axes[1].bar(where, amounts, width, color=colours, alpha=0.5)
        axes[1].set_ylabel("volume")


def _vwap(chart: Chart, price: "Axes", where: list[float]) -> None:
    """Draw the line of VWAP, broken where nothing was traded."""
    if not any(stick.vwap is not None for stick in chart.sticks):
        return
    xs: list[float] = []
    ys: list[float] = []
    gaps = list(chart.blanks)
    for at, stick in zip(where, chart.sticks, strict=True):
        if gaps and gaps[0] < stick.at:
            gaps = [gap for gap in gaps if gap > stick.at]
            xs.append(at)
            ys.append(float("nan"))
        xs.append(at)
        ys.append(float("nan") if stick.vwap is None else float(stick.vwap))
    price.plot(xs, ys, color=_VWAP, linewidth=1, label="VWAP")
    price.legend(loc="upper left", frameon=False, fontsize=8)


def _line(axes: "Axes", line: Line, number: int) -> None:
    xs = [_place(at) for at, _ in line.points]
    ys = [float("nan") if value is None else float(value) for _, value in line.points]
    # a name that begins with _ would be left out of the legend
    name = line.name.replace("$", r"\$").lstrip("_")
    if line.style == "bars":
        axes.bar(xs, ys, label=name, color=f"C{number}")
    elif line.style == "points":
        axes.plot(xs, ys, "o", markersize=3, label=name, color=f"C{number}")
    else:
        axes.plot(xs, ys, marker="." if len(xs) < 200 else None, label=name, color=f"C{number}")


def _place(at: Where) -> Any:
    return at if isinstance(at, datetime) else float(at)
