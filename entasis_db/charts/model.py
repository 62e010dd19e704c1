"""What a chart shows, before it is drawn anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from entasis_db.errors import EntasisError

Where = datetime | Decimal
"""A place on the axis below."""


class ChartError(EntasisError, ValueError):
    """What was asked for cannot be drawn."""


@dataclass(frozen=True)
class Stick:
    """A candle, or a bar of trades."""

    at: datetime
    """Beginning of its bucket; of a bar, when it opened."""
    open: Decimal
    """Price of the first trade; quote units."""
    high: Decimal
    """Highest price."""
    low: Decimal
    """Lowest price."""
    close: Decimal
    """Price of the last trade."""
    volume: Decimal | None = None
    """What was traded, in the market's volume_unit. None: not told."""
    vwap: Decimal | None = None
    """Average price by volume. None: not told, or nothing was traded."""
    trades: int | None = None
    """How many trades. None: not told."""


@dataclass(frozen=True)
class Line:
    """One series of values."""

    name: str
    """What it is."""
    points: Sequence[tuple[Where, Decimal | None]]
    """Where and how much, in the order of the first; None: nothing is known there, and the line is
    broken."""
    style: Literal["line", "points", "bars"] = "line"
    """How it is drawn."""
    pane: int = 0
    """In which of the panes below each other, from 0. Below candles and their volume, if there are
    any."""


@dataclass(frozen=True)
class Chart:
    """A chart of candles, of lines, or of both."""

    title: str
    """What it shows."""
    sticks: Sequence[Stick] = ()
    """Candles or bars, in order."""
    lines: Sequence[Line] = ()
    """Series of values."""
    blanks: Sequence[datetime] = ()
    """Buckets between the sticks without a trade: they stay empty."""
    is_regular: bool = True
    """Whether sticks stand where their time is. False: side by side, as bars of trades do."""
    across: str = ""
    """What the axis below is, if it is no time."""
    notes: Sequence[str] = field(default=())
    """What has to be said of it, a sentence each."""
