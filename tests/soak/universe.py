"""The few markets, moments and values that histories are made of, so that trades meet often."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from entasis_db.model import Side, Trade
from tests.make import months_ago

Market = tuple[str, str]
"""Symbol and exchange."""
Unit = Literal["s", "ms", "us"]

ORDINAL: tuple[Market, ...] = (("AAA", "one"), ("BBB", "one"), ("AAA", "two"))
"""Markets whose ids are unique within a timestamp only."""
NUMBERED: tuple[Market, ...] = (("BBB", "two"), ("CCC", "two"))
"""Markets whose ids are the exchange's, rise with time and are stored once."""
MARKETS = (*ORDINAL, *NUMBERED)
ID_SPACES = {**dict.fromkeys(ORDINAL, "ordinal"), **dict.fromkeys(NUMBERED, "trade")}

MONTHS = tuple(range(1, 7))
"""How many months ago the months began that are written to."""
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
OFFSETS = (
    *(0, 1, 999_999, 59_999_999, 60_000_000, 119_999_999, _HOUR - 1, _HOUR, 23 * _HOUR + 7),
    *(_DAY - 1, _DAY, 8 * _DAY + 30_000_000, 8 * _DAY + 31_000_000, 20 * _DAY),
)
"""Microseconds after the beginning of a month: around the borders of buckets."""
_NUMBERED_OFFSETS = (
    *(0, 1_000, 1_500, 250_000, 999_999, 1_000_000, 61_500_250, _HOUR - 1, _HOUR + 1_234),
    *(_DAY - 1, _DAY + 7, 8 * _DAY + 30_000_001),
)
UNIT_MICROSECONDS: dict[Unit, int] = {"s": 1_000_000, "ms": 1_000, "us": 1}

PRICES = tuple(Decimal(p) for p in ("10", "11", "9.5", "10.000000000001", "10.50", "200"))
VOLUMES = tuple(Decimal(v) for v in ("1", "2", "0.5", "0.000000000001"))
SIDES: tuple[Side | None, ...] = (None, "buy", "sell")
EXCLUDED = (None, "confirmed_bad", "adl")


class Row(NamedTuple):
    """A trade as a history writes it: numbers only, so that it can be repeated in a later month."""

    market: int
    back: int
    """Its month."""
    micro: int
    """Microseconds after the beginning of that month."""
    id: int
    price: int
    volume: int
    side: int

    def trade(self) -> Trade:
        """Return it as it is stored."""
        symbol, exchange = MARKETS[self.market]
        return Trade(
            id=self.id,
            symbol=symbol,
            exchange=exchange,
            timestamp=self.time(),
            price=PRICES[self.price],
            volume=VOLUMES[self.volume],
            side=SIDES[self.side],
        )

    def time(self) -> datetime:
        """Return its moment."""
        return months_ago(self.back) + timedelta(microseconds=self.micro)


NUMBERS = len(MONTHS) * len(_NUMBERED_OFFSETS)


def moment_of(number: int) -> tuple[int, int]:
    """Return when the trade of that number was made, in a numbered market: month, microsecond."""
    month, place = divmod(number - 1, len(_NUMBERED_OFFSETS))
    return MONTHS[-1] - month, _NUMBERED_OFFSETS[place]


def cut(micro: int, unit: Unit) -> int:
    """Cut a time to a unit, as exchanges do."""
    return micro // UNIT_MICROSECONDS[unit] * UNIT_MICROSECONDS[unit]


def cut_time(time: datetime, unit: Unit) -> datetime:
    """Cut a moment to a unit."""
    micro = (time - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=cut(micro, unit))


def rows_of(coded: Sequence[Any]) -> list[Row]:
    """Return the rows of a step, which may have come from a file."""
    return [Row(*row) for row in coded]
