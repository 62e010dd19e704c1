"""Candles drawn in a terminal: bodies and wicks, with the scale on the right."""

from collections.abc import Sequence
from decimal import Decimal

from rich.text import Text

from entasis_db.queries import Candle

_HALF = 2  # a character cell shows two steps of height
_BODY = {(False, False): " ", (True, False): "╹", (False, True): "╻", (True, True): "┃"}
_WICK = {(False, False): " ", (True, False): "╵", (False, True): "╷", (True, True): "│"}


def draw(candles: Sequence[Candle], width: int, height: int) -> Text:
    """Draw the newest candles that fit ``width`` columns, two columns each, ``height`` lines high.

    A body reaches from open to close, a wick from low to high: green when the price rose or stayed,
    red when it fell. The right margin shows the highest, the middle and the lowest price.
    """
    labels_width = max(len(_label(c.high)) for c in candles) + 2
    shown = candles[-max(1, (width - labels_width) // 2) :]
    top, bottom = max(c.high for c in shown), min(c.low for c in shown)
    steps = height * _HALF - 1
    scale = (top - bottom) / steps if top > bottom else Decimal(1)

    def step(price: Decimal) -> int:
        return int(((price - bottom) / scale).to_integral_value())

    drawing = Text()
    for line in range(height):
        # the steps of this line, upper and lower, counted from the bottom
        upper = steps - line * _HALF
        for candle in shown:
            low_body, high_body = sorted((step(candle.open), step(candle.close)))
            low, high = step(candle.low), step(candle.high)
            cell = (low_body <= upper <= high_body, low_body <= upper - 1 <= high_body)
            wick = (low <= upper <= high, low <= upper - 1 <= high)
            if any(cell):
                mark = _BODY[cell] if cell == wick else "┃" if all(cell) else _mixed(cell)
            else:
                mark = _WICK[wick]
            drawing.append(mark + " ", "green" if candle.close >= candle.open else "red")
        if line in (0, height // 2, height - 1):
            drawing.append(f" {_label(bottom + max(upper - (line == height - 1), 0) * scale)}")
        drawing.append("\n")
    drawing.append(f"{shown[0].bucket:%Y-%m-%d %H:%M} to {shown[-1].bucket:%Y-%m-%d %H:%M} UTC")
    return drawing


def _mixed(cell: tuple[bool, bool]) -> str:
    """Body in one half of the cell and wick in the other."""
    return "╿" if cell[0] else "╽"


def _label(price: Decimal) -> str:
    return f"{price.normalize():.10g}"
