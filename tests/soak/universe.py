"""The few markets, moments and values that histories are made of, so that trades meet often."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from entasis_db.ids import digest_id
from entasis_db.model import Side, Trade
from tests.make import months_ago

Market = tuple[str, str]
"""Symbol and exchange."""
Unit = Literal["s", "ms", "us"]

SIGNED: Market = ("SSS", "one")
"""A combo, whose prices may be 0 or below; its trades are counted within a timestamp."""
ORDINAL: tuple[Market, ...] = (("AAA", "one"), ("BBB", "one"), ("AAA", "two"), SIGNED)
"""Markets whose trades are counted within a timestamp."""
NUMBERED: tuple[Market, ...] = (("BBB", "two"), ("CCC", "two"))
"""Markets whose ids are the exchange's, rise with time and are stored once."""
DIGEST: tuple[Market, ...] = (("UUU", "two"),)
"""Markets whose ids are text, of which the stored ones are digests."""
MARKETS = (*ORDINAL, *NUMBERED, *DIGEST)
ID_SPACES = {
    **dict.fromkeys(ORDINAL, "ordinal"),
    **dict.fromkeys(NUMBERED, "trade"),
    **dict.fromkeys(DIGEST, "digest"),
}
TEXTS = ("0a1b2c3d-1111-5222-8333-444455556666", "9f", "20250101", "a\\b")
"""Ids that are text, by the number that a row has: one looks like an integer."""
COLLIDING, TEXTLESS = len(TEXTS), len(TEXTS) + 1
"""Numbers of rows with the digest of the first text: one of another text, one of none."""

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

PRICES = tuple(
    Decimal(p) for p in ("10", "11", "9.5", "10.000000000001", "10.50", "200", "0", "-12.5")
)
ABOVE_ZERO = sum(price > 0 for price in PRICES)
"""How many of them any market may have; the others come after these."""
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
            id=id_of(self.market, self.id),
            symbol=symbol,
            exchange=exchange,
            timestamp=self.time(),
            price=PRICES[self.price],
            volume=VOLUMES[self.volume],
            side=SIDES[self.side],
            source_id=text_of(self.market, self.id),
        )

    def key(self) -> tuple[str, str, datetime, int]:
        """Return what it is stored under."""
        return (*MARKETS[self.market], self.time(), id_of(self.market, self.id))

    def time(self) -> datetime:
        """Return its moment."""
        return months_ago(self.back) + timedelta(microseconds=self.micro)


def id_of(market: int, number: int) -> int:
    """Return the id that a row's number stands for."""
    if MARKETS[market] not in DIGEST:
        return number
    return digest_id(TEXTS[number if number < len(TEXTS) else 0])


def text_of(market: int, number: int) -> str | None:
    """Return the exchange's text of the id that a row's number stands for."""
    if MARKETS[market] not in DIGEST or number == TEXTLESS:
        return None
    return "another text" if number == COLLIDING else TEXTS[number]


def is_refused(market: Market, price: Decimal) -> bool:
    """Tell whether the price is none of that market."""
    return price <= 0 and market != SIGNED


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


def trades_of(coded: Sequence[Any]) -> list[Trade]:
    """Return the trades of a step's rows."""
    return [row.trade() for row in rows_of(coded)]


def file_trades(coded: Sequence[Any]) -> list[Trade]:
    """Return what a file says of rows: without an id, trades are counted within their moment."""
    counts: dict[tuple[Market, datetime], int] = {}
    trades = []
    for row in rows_of(coded):
        trade = row.trade()
        if MARKETS[row.market] in ORDINAL:
            moment = (MARKETS[row.market], trade.timestamp)
            trade = trade._replace(id=counts.get(moment, 0))
            counts[moment] = trade.id + 1
        trades.append(trade)
    return trades


def rows_of(coded: Sequence[Any]) -> list[Row]:
    """Return the rows of a step, which may have come from a file."""
    return [Row(*row) for row in coded]
