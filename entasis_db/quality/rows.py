"""The rows of what is asked of the quality of data.

They are named tuples, as those of the named queries are. Times are timezone-aware and in UTC,
numbers are exact (Decimal).
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

GapKind = Literal["ids", "silence"]


class Gap(NamedTuple):
    """What a market lacks between two of its trades."""

    symbol: str
    """Instrument, in the exchange's spelling."""
    exchange: str
    """Venue."""
    kind: GapKind
    """``ids``: ids are missing, so trades are. ``silence``: ids cannot tell, and the market was
    silent for longer than usual."""
    after_time: datetime
    """When the stored trade before it was made."""
    before_time: datetime | None
    """When the stored trade after it was made. None: none has come since."""
    first_id: int | None
    """The first id that is missing. None: of kind silence."""
    last_id: int | None
    """The last id that is missing. None: of kind silence."""
    missing: int | None
    """How many ids are missing: last_id - first_id + 1. None: of kind silence."""
    usual: timedelta | None
    """The longest silence that is usual in the market. None: of kind ids."""


class Coverage(NamedTuple):
    """How much of a market is stored in a range."""

    symbol: str
    """Instrument, in the exchange's spelling."""
    exchange: str
    """Venue."""
    kind: GapKind
    """What tells: ids, or silence."""
    first_trade: datetime | None
    """When the first trade of the range's minutes was made. None: there is none."""
    last_trade: datetime | None
    """When the last trade of the range's minutes was made. None: there is none."""
    trades: int
    """How many trades candles count in the minutes that meet the range."""
    gaps: int
    """How many gaps there are."""
    missing: Decimal | None
    """How many trades are missing, of kind ids. None: none is, or nothing tells."""
    silent: timedelta | None
    """How long the market was silent in its gaps. None: it was not."""
    covered: Decimal | None
    """From 0 to 1, cut to 6 decimals: of kind ids the trades that are stored, of those and the
    missing ones; of kind silence the time that is not silent. None: nothing is stored."""
