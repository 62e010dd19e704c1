"""The rows of what is asked of the quality of data.

They are named tuples, as those of the named queries are. Times are timezone-aware and in UTC,
numbers are exact (Decimal).
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

GapKind = Literal["ids", "silence"]
AnomalyKind = Literal[
    "price_spike",
    "volume_spike",
    "stuck_price",
    "stored_early",
    "stored_late",
    "misplaced",
    "duplicate",
    "crossed_quote",
    "impossible_delta",
    "negative_gamma",
    "zero_iv",
    "below_intrinsic",
    "refused",
    "candle_differs",
]
AnomalyState = Literal["new", "acknowledged", "confirmed", "dismissed", "gone"]


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


class Anomaly(NamedTuple):
    """Something that stands out, or was refused."""

    id: int
    """Identifies it."""
    kind: AnomalyKind
    """What it is: docs/quality.md has the definitions."""
    state: AnomalyState
    """``new``; what somebody decided; ``gone``: nobody had, and it is not so any more."""
    relation: str
    """Relation whose row it is, or was meant to be."""
    symbol: str | None
    """Instrument; of quotes the underlying. None: the refused row does not say."""
    exchange: str | None
    """Venue. None: of quotes, or the refused row does not say."""
    begins_at: datetime
    """Timestamp of the row, or of the first one; bucket of a candle; of a refused row, when it was
    refused."""
    ends_at: datetime | None
    """Timestamp of the last row of a stuck price. None: it is about one row."""
    row_key: dict[str, Any]
    """What beside symbol, exchange and begins_at identifies the row: ``id`` of a trade."""
    observed: Decimal | None
    """The number that stands out, in the unit of its column."""
    expected: Decimal | None
    """What it was compared with, in the same unit."""
    detail: dict[str, Any]
    """What else tells why."""
    found_at: datetime
    """When it was first found."""
    decided_at: datetime | None
    """When somebody decided. None: nobody has."""
    decided_by: str | None
    """The login that did."""
    note: str | None
    """What it said."""
    excluded_as: str | None
    """The word that confirming it has put into market_data.excluded. None: it has set nothing."""
