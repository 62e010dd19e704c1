"""Candles drawn in a terminal: bodies and wicks, with the prices on the right and times below."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from rich.text import Text

from entasis_db.queries import Candle

_NOTHING, _WICK, _BODY = range(3)
# A character cell shows two steps of height: what stands in the upper half, then in the lower.
_MARKS = {
    (_NOTHING, _NOTHING): " ",
    (_WICK, _NOTHING): "╵",
    (_NOTHING, _WICK): "╷",
    (_WICK, _WICK): "│",
    (_BODY, _NOTHING): "╹",
    (_NOTHING, _BODY): "╻",
    (_BODY, _BODY): "┃",
    (_BODY, _WICK): "╿",
    (_WICK, _BODY): "╽",
}
_LINES_A_LABEL = 4
_COLUMNS_A_TIME = 12
_FEWEST_LINES = 3
_WIDEST = 4
_LINES_BELOW = 3

Steps = tuple[int, int, int, int]


def draw(candles: Sequence[Candle], width: int, height: int) -> Text:
    """Draw the newest candles that fit ``width`` columns, in ``height`` lines with all labels.

    A body reaches from open to close, a wick from low to high: green when the price rose or stayed,
    red when it fell. The marks below say the same to those who see no colour: + rose, - fell,
    = stayed. The prices on the right are those of their lines, the highest and the lowest exact.
    """
    lines = max(_FEWEST_LINES, height - _LINES_BELOW)
    # what the labels need is not known before the candles are chosen, whose number hangs on it
    margin = max(len(f"{price:f}") for c in candles for price in (c.high, c.low)) + 2
    room = max(1, width - margin)
    pitch = max(1, min(_WIDEST, room // len(candles)))
    shown = candles[-(room // pitch) :]
    top, bottom = max(c.high for c in shown), min(c.low for c in shown)
    last_step = lines * 2 - 1
    scale = (top - bottom) / last_step

    def step(price: Decimal) -> int:
        if not scale:
            return lines  # the price never moved: one line, in the middle
        return int(((price - bottom) / scale).to_integral_value())

    steps: list[Steps] = [(step(c.open), step(c.high), step(c.low), step(c.close)) for c in shown]
    colours = ["red" if c.close < c.open else "green" for c in shown]
    labels = _price_labels(shown, lines, top, scale)
    drawing = Text(no_wrap=True, overflow="ignore")
    for line in range(lines):
        upper = last_step - line * 2
        for candle, colour in zip(steps, colours, strict=True):
            mark = _MARKS[_part(candle, upper), _part(candle, upper - 1)]
            drawing.append(mark.ljust(pitch), colour)
        drawing.append(f"  {labels[line]}\n" if line in labels else "\n")
    for c, colour in zip(shown, colours, strict=True):
        mark = "+" if c.close > c.open else "-" if c.close < c.open else "="
        drawing.append(mark.ljust(pitch), colour)
    drawing.append(f"\n{_times(shown, pitch)}\n")
    drawing.append(f"{_minute(shown[0].bucket)} to {_minute(shown[-1].bucket)} UTC")
    if len(shown) < len(candles):
        drawing.append(f", the newest {len(shown)} of {len(candles)}")
    return drawing


def _part(candle: Steps, step: int) -> int:
    """Say what of a candle stands at a step of the height."""
    opened, high, low, close = candle
    if min(opened, close) <= step <= max(opened, close):
        return _BODY
    return _WICK if low <= step <= high else _NOTHING


def _price_labels(
    candles: Sequence[Candle], lines: int, top: Decimal, scale: Decimal
) -> dict[int, str]:
    """Choose the lines that show their price, and write it."""
    stated = max(
        max(0, -int(price.normalize().as_tuple().exponent))
        for c in candles
        for price in (c.open, c.high, c.low, c.close)
    )
    if not scale:
        return {(lines - 1) // 2: f"{top:.{stated}f}"}
    # as many decimals as tell one line from the next, but no more than the prices have
    needed = min(stated, max(0, -scale.adjusted()))
    labels = {
        # the middle of the line, between its two steps
        line: f"{top - (line * 2 + Decimal('0.5')) * scale:.{needed}f}"
        for line in range(_LINES_A_LABEL, lines - _LINES_A_LABEL // 2, _LINES_A_LABEL)
    }
    labels[0] = f"{top:.{stated}f}"
    labels[lines - 1] = f"{min(c.low for c in candles):.{stated}f}"
    return labels


def _times(candles: Sequence[Candle], pitch: int) -> str:
    starts = [c.bucket.astimezone(UTC) for c in candles]
    gap = min((b - a for a, b in pairwise(starts)), default=timedelta(0))
    form = "%H:%M" if gap < timedelta(days=1) else "%m-%d" if gap < timedelta(days=28) else "%Y-%m"
    line = ""
    for position in range(0, len(starts), _COLUMNS_A_TIME // pitch):
        label = f"{starts[position]:{form}}"
        if position and position * pitch + len(label) > len(starts) * pitch:
            break
        line = line.ljust(position * pitch) + label
    return line


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
