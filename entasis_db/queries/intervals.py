"""The intervals that there are candles of."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, get_args

Interval = Literal["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1mo"]

INTERVALS: tuple[Interval, ...] = get_args(Interval)
"""Every interval that there are candles of, from the shortest to the longest."""

LENGTH: Mapping[Interval, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "1w": timedelta(days=7),
    "1mo": timedelta(days=31),
}
"""The length of a bucket; of a month, that of the longest."""

STORED_RELATION: Mapping[Interval, str] = {
    **dict.fromkeys(("1m", "5m", "15m", "30m"), "ohlcv_1m"),
    **dict.fromkeys(("1h", "4h"), "ohlcv_1h"),
    **dict.fromkeys(("1d", "1w", "1mo"), "ohlcv_1d"),
}
"""The stored candles that those of an interval are read from, or derived from."""
