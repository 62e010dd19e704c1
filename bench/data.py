"""Made-up trades: the same ones in every run, in the order of time, never all in memory at once."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from operator import attrgetter
from random import Random

from entasis_db.model import TRADE_KEY, Side, Trade

START = datetime(2025, 1, 12, tzinfo=UTC)
"""The first of the days: twenty lie in January and twenty in February."""
DAYS = 40
END = START + timedelta(days=DAYS)
SECOND_MONTH = datetime(2025, 2, 1, tzinfo=UTC)
BUSY_DAY = datetime(2025, 2, 8, tzinfo=UTC)
"""The day on which the first market is busier than ever."""

ID_SPACE = "trade"

_SEED = 20090103
_HOURS = DAYS * 24
_HOUR_MS = 3_600_000
_BUSY_TRADES = 160_000
_BUSY_PERCENT = 16  # of the rows, when these are too few for so many
_TIES = 0.3  # of the trades, at the timestamp of the one before: one order that met several
_STEP = 1e-4  # of the price, from trade to trade
_KEY = attrgetter(*TRADE_KEY)
_ACTIVITY = 1.0  # sigma of the hours' log-normal activity


@dataclass(frozen=True)
class Market:
    """One market, with the grid that its prices and volumes lie on."""

    symbol: str
    exchange: str
    share: int
    """Its part of the trades, in percent."""
    price: int
    """Where its walk begins, in ticks."""
    tick: Decimal
    lot: Decimal
    lots: int
    """A common volume, in lots."""


MARKETS = (
    Market("BTCUSDT", "binance-spot", 34, 9_450_000, Decimal("0.01"), Decimal("0.00001"), 2_000),
    Market("ETHUSDT", "binance-spot", 22, 326_000, Decimal("0.01"), Decimal("0.0001"), 3_000),
    Market("SOLUSDT", "binance-spot", 12, 18_700, Decimal("0.01"), Decimal("0.001"), 4_000),
    Market("XRPUSDT", "binance-spot", 9, 25_200, Decimal("0.0001"), Decimal("1"), 400),
    Market("DOGEUSDT", "binance-spot", 6, 33_500, Decimal("0.00001"), Decimal("1"), 2_500),
    Market("BTC-USD", "coinbase", 9, 9_450_000, Decimal("0.01"), Decimal("0.00000001"), 1_500_000),
    Market("ETH-USD", "coinbase", 6, 326_000, Decimal("0.01"), Decimal("0.00000001"), 30_000_000),
    Market("SOL-USD", "coinbase", 2, 18_700, Decimal("0.01"), Decimal("0.00000001"), 400_000_000),
)
BUSY_MARKET = MARKETS[0]


def trades(rows: int, hours: int = _HOURS) -> Iterator[Trade]:
    """Yield ``rows`` trades by time, the same ones at every call: of the forty days, or of hours.

    Each market walks on its grid of ticks and numbers its trades one by one; it has quiet hours and
    lively ones; about three in ten trades share the timestamp of the one before them.
    """
    random = Random(_SEED)
    counts = _counts(rows, hours, random)
    walks = [_Walk(market, Random(random.random())) for market in MARKETS]
    for hour in range(hours):
        start = START + timedelta(hours=hour)
        merged: list[Trade] = []
        for walk, count in zip(walks, counts, strict=True):
            merged += walk.hour(start, count[hour])
        merged.sort(key=attrgetter("timestamp", "symbol", "exchange", "id"))
        yield from merged


def busy_trades(rows: int) -> int:
    """Return how many trades the busy market has on the busy day."""
    return min(_BUSY_TRADES, rows * _BUSY_PERCENT // 100)


def batches(source: Iterable[Trade], size: int) -> Iterator[list[Trade]]:
    """Cut trades into lists of ``size``; the last may be shorter."""
    iterator = iter(source)
    while batch := list(islice(iterator, size)):
        yield batch


COLUMNS = "id, symbol, exchange, timestamp, price, volume, side"
"""The columns of a payload, in their order."""

DOCUMENT_COLUMNS = COLUMNS.removesuffix(", side")
"""Those that the source document's own layout has."""


def payload(batch: Sequence[Trade], columns: str = COLUMNS) -> bytes:
    """Return a batch as COPY's text, in the order of the key, as the helper sends it."""
    of_trade = attrgetter(*columns.split(", "))
    return "".join(
        "\t".join(map(str, of_trade(trade))) + "\n" for trade in sorted(batch, key=_KEY)
    ).encode()


def _counts(rows: int, hours: int, random: Random) -> list[list[int]]:
    """Return how many trades each market has in each hour: ``rows`` in all, exactly."""
    begin = (BUSY_DAY - START) // timedelta(hours=1)
    day = slice(begin, begin + 24)
    busy = busy_trades(rows) if hours >= day.stop else 0
    counts = []
    for market, total in zip(MARKETS, _split(rows - busy, [m.share for m in MARKETS]), strict=True):
        activity = [math.exp(random.gauss(0, _ACTIVITY)) for _ in range(hours)]
        if busy and market is BUSY_MARKET:
            of_day = _split(busy, activity[day])
            activity[day] = [0.0] * 24
            of_hours = _split(total, activity)
            of_hours[day] = of_day
        else:
            of_hours = _split(total, activity)
        counts.append(of_hours)
    return counts


def _split(total: int, weights: Sequence[float]) -> list[int]:
    """Split a number into whole parts that add up to it."""
    whole = sum(weights)
    parts, reached, before = [], 0.0, 0
    for weight in weights:
        reached += weight
        upto = round(total * reached / whole)
        parts.append(upto - before)
        before = upto
    parts[-1] += total - before
    return parts


class _Walk:
    """The trades of one market, hour after hour."""

    def __init__(self, market: Market, random: Random) -> None:
        self.market = market
        self.random = random
        self.ticks = market.price
        self.number = 1_000_000

    def hour(self, start: datetime, count: int) -> list[Trade]:
        """Return the trades of the next hour."""
        market, draw = self.market, self.random.random
        gauss, exponential = self.random.gauss, self.random.expovariate
        symbol, exchange, tick, lot = market.symbol, market.exchange, market.tick, market.lot
        ticks, number = self.ticks, self.number
        found: list[Trade] = []
        timestamp = start
        for moment in sorted(int(draw() * _HOUR_MS) for _ in range(count)):
            if not found or draw() >= _TIES:
                timestamp = start + timedelta(milliseconds=moment)
            # an order of a venue's smallest size, about one unit of the quote currency, or more
            least = int(1 / (ticks * tick * lot)) + 1
            before = ticks
            ticks = max(1, ticks + round(gauss(0, ticks * _STEP)))
            number += 1
            lots = least + int(exponential(1 / market.lots))
            price, volume = ticks * tick, lots * lot
            # taking moves the price
            side: Side = "buy" if ticks > before or (ticks == before and number % 2) else "sell"
            found.append(Trade(number, symbol, exchange, timestamp, price, volume, side))
        self.ticks, self.number = ticks, number
        return found
