"""What has to come of a history, in plain Python."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from entasis_db.model import Side, Trade
from tests.make import months_ago
from tests.oracle import TradeKey
from tests.soak.universe import (
    MARKETS,
    NUMBERED,
    ORDINAL,
    Market,
    Unit,
    cut_time,
    file_trades,
    id_of,
    is_refused,
    rows_of,
)


class Values(NamedTuple):
    """What a trade has beside its key."""

    price: Decimal
    volume: Decimal
    side: Side | None
    excluded: str | None = None
    """Why no candle counts it."""
    source_id: str | None = None
    """The exchange's text, of which the id is the digest."""


def values_of(trade: Trade) -> Values:
    """Return what a trade has beside its key."""
    return Values(trade.price, trade.volume, trade.side, trade.excluded, trade.source_id)


Range = tuple[datetime, datetime]
"""From (included) and to (not included)."""
BEGINNING = datetime.min.replace(tzinfo=months_ago(0).tzinfo)


@dataclass
class Facts:
    """What is where: the model takes it over from the database after it was checked."""

    floor: datetime = BEGINNING
    partitions: tuple[Range, ...] = ()
    """Those below the floor among them."""
    reopened: frozenset[tuple[Any, datetime, datetime]] = frozenset()
    """Markets (underlyings of quotes), None for all, and ranges that are open below the floor."""

    def is_live(self, time: datetime) -> bool:
        """Whether rows of that moment are in the database, or may be, above the floor."""
        return time >= self.floor or any(start <= time < end for start, end in self.partitions)

    def is_open(self, market: Any, time: datetime) -> bool:
        """Whether a writer may write there."""
        return time >= self.floor or any(
            of in (None, market) and start <= time < end for of, start, end in self.reopened
        )


@dataclass
class Book:
    """The rows of a relation that were accepted, where nothing is derived from them."""

    rows: dict[Any, Any] = field(default_factory=dict)
    lost: dict[Any, Any] = field(default_factory=dict)
    """Accepted, and discarded since by somebody who asked for it."""
    facts: Facts = field(default_factory=Facts)

    def copy(self) -> "Book":
        """Return one that may go on differently."""
        return Book(dict(self.rows), dict(self.lost), self.facts)


Result = tuple[Any, ...] | str
"""What a step answers: counts, "ok", or the name of an error."""
CHECK, UNIQUE = "CheckViolation", "UniqueViolation"


@dataclass
class Model:
    """The trades that were accepted, and what became of the others."""

    trades: dict[TradeKey, Values] = field(default_factory=dict)
    lost: dict[TradeKey, Values] = field(default_factory=dict)
    """Accepted, and discarded since by somebody who asked for it; their candles stay."""
    units: dict[Market, set[Unit]] = field(default_factory=dict)
    quarantined: Counter[str] = field(default_factory=Counter)
    """Rows in quarantine by source."""
    past: Counter[tuple[str, str, str | None]] = field(default_factory=Counter)
    """Rows below the floor by source and market, of quotes by underlying."""
    facts: Facts = field(default_factory=Facts)
    """Of market_data."""
    quotes: Book = field(default_factory=Book)
    published: Book = field(default_factory=Book)
    """Candles of exchanges."""

    def copy(self) -> "Model":
        """Return one that may go on differently."""
        return Model(
            dict(self.trades),
            dict(self.lost),
            {market: set(units) for market, units in self.units.items()},
            Counter(self.quarantined),
            Counter(self.past),
            self.facts,
            self.quotes.copy(),
            self.published.copy(),
        )

    def books(self) -> dict[str, Book]:
        """Return what there is beside trades, by relation."""
        return {"option_data": self.quotes, "exchange_candles": self.published}

    def counted(self) -> dict[TradeKey, tuple[Decimal, Decimal]]:
        """Return what candles count."""
        every = {**self.trades, **self.lost}
        return {k: (v.price, v.volume) for k, v in every.items() if v.excluded is None}

    def stored(self) -> dict[TradeKey, Values]:
        """Return what has to be in market_data."""
        return {k: v for k, v in self.trades.items() if self.facts.is_live(k[2])}

    # ------------------------------------------------------------------ loaders

    def load_file(self, rows: Sequence[Any], unit: Unit, source: str, batch: int) -> Result:
        """Take a file, unless its first or last moment of counted trades is stored otherwise."""
        trades = file_trades(rows)
        for market in {(t.symbol, t.exchange) for t in trades} & {*ORDINAL}:
            times = [t.timestamp for t in trades if (t.symbol, t.exchange) == market]
            for time in (min(times), max(times)):
                told = [t for t in trades if (t.symbol, t.exchange, t.timestamp) == (*market, time)]
                if not self._is_whole(told):
                    return "LoadError"
        return self.load(trades, unit, source, batch)

    def _is_whole(self, told: Sequence[Trade]) -> bool:
        """Tell whether the trades of a moment are those that are stored of it, or none is."""
        market, time = (told[0].symbol, told[0].exchange), told[0].timestamp
        stored = {k[3]: v for k, v in self.trades.items() if (k[:2], k[2]) == (market, time)}
        if not stored or not self.facts.is_live(time):
            return True
        same = {t.id for t in told if t.id in stored and stored[t.id][:2] == (t.price, t.volume)}
        rest = [t for t in told if t.id > max(stored) and not is_refused(market, t.price)]
        return same == set(stored) and not rest

    def load(
        self, trades: Sequence[Trade], unit: Unit, source: str, batch: int | None = None
    ) -> tuple[int, int, int, int]:
        """Take trades in batches, None for one of all, and answer the counts of an IngestReport."""
        counts = Counter[str]()
        for market in {(t.symbol, t.exchange) for t in trades}:
            told = unit if market in NUMBERED else "us"
            self.units.setdefault(market, set()).add(told)
        size = batch or len(trades) or 1
        for start in range(0, len(trades), size):
            part = trades[start : start + size]
            torn = self._torn(part)
            for n, trade in enumerate(part):
                if n in torn:
                    self.quarantined[source] += 1
                    counts["conflict"] += 1
                else:
                    counts[self._take(trade, unit, source)] += 1
        return counts["inserted"], counts["there"], counts["conflict"], counts["past"]

    def _torn(self, trades: Sequence[Trade]) -> set[int]:
        """Return which are new at a counted moment that is stored with other trades."""
        keys = [(t.symbol, t.exchange, t.timestamp, t.id) for t in trades]
        counted = {
            n: key
            for n, key in enumerate(keys)
            if key[:2] in ORDINAL
            and self.facts.is_open(key[:2], key[2])
            and not is_refused(key[:2], trades[n].price)
        }
        stored = {k: self.trades[k] for k in keys if k in self.trades and self.facts.is_live(k[2])}
        torn = {
            key[:3]
            for n, key in counted.items()
            if key in stored
            and (stored[key].price, stored[key].volume) != (trades[n].price, trades[n].volume)
        }
        return {n for n, key in counted.items() if key[:3] in torn and key not in stored}

    def replace(self, rows: Sequence[Any], back: int | None = None) -> Result:
        """Put the trades of a file in the place of those with their ids, above the floor.

        ``back`` is the month of which all trades of its markets go.
        """
        trades = file_trades(rows)
        markets = {(t.symbol, t.exchange) for t in trades}
        ids = {(t.symbol, t.exchange, t.id): t for t in trades if (t[1], t[2]) in NUMBERED}
        goes = [k for k in self.trades if (k[0], k[1], k[3]) in ids]
        if back is not None:
            start, end = months_ago(back), months_ago(back - 1)
            goes += [k for k in self.trades if k[:2] in markets and start <= k[2] < end]
        if (
            any(k[2] < self.facts.floor for k in goes)
            or any(t.timestamp < self.facts.floor for t in trades)
            or any(is_refused((t.symbol, t.exchange), t.price) for t in trades)
        ):
            return "ambiguous"
        for key in goes:
            trade = ids.get((key[0], key[1], key[3]))
            if trade is None:
                continue
            told = (*key[:2], trade.timestamp, trade.id)
            if key[2] != trade.timestamp and self._is_moment(key, told, "us"):
                return "ambiguous"  # told in another unit: whether it is the same is another test's
        for market in markets:
            self.units.setdefault(market, set()).add("us")
        # a side that the file does not state is kept, if those that go agree on one
        sides: dict[Any, set[Side]] = {}
        before = {key: self.trades.pop(key) for key in goes}
        for key, values in before.items():
            if values.side is not None:
                sides.setdefault((key[0], key[1], key[3]), set()).add(values.side)
        for t in trades:
            key = (t.symbol, t.exchange, t.timestamp, t.id)
            stored = before.get(key)
            if (
                stored
                and stored[:2] == (t.price, t.volume)
                and t.side in (None, stored.side)
                and t.source_id in (None, stored.source_id)
            ):
                self._put(key, stored)  # it is not touched
                continue
            kept = sides.get((t.symbol, t.exchange, t.id), set()) if key[:2] in NUMBERED else set()
            side = t.side or (next(iter(kept)) if len(kept) == 1 else None)
            self._put(key, values_of(t._replace(side=side)))
        return "ok"

    def _take(self, trade: Trade, unit: Unit, source: str) -> str:
        market = (trade.symbol, trade.exchange)
        if is_refused(market, trade.price):
            self.quarantined[source] += 1
            return "conflict"
        if not self.facts.is_open(market, trade.timestamp):
            self.past[source, *market] += 1
            return "past"
        key = (*market, trade.timestamp, trade.id)
        found = self._same(key)
        if found is None:
            self._put(key, values_of(trade))
            return "inserted"
        stored = self.trades[found]
        if (
            not self._is_moment(found, key, unit)
            or (stored.price, stored.volume) != (trade.price, trade.volume)
            or (stored.side and trade.side and stored.side != trade.side)
            or (stored.source_id and trade.source_id and stored.source_id != trade.source_id)
        ):
            self.quarantined[source] += 1
            return "conflict"
        self._put(
            found,
            stored._replace(
                side=stored.side or trade.side, source_id=stored.source_id or trade.source_id
            ),
        )
        return "there"

    def _same(self, key: TradeKey) -> TradeKey | None:
        """Return the stored trade with that key, or with the id where it is the exchange's."""
        if key in self.trades and self.facts.is_live(key[2]):
            return key
        if key[:2] not in NUMBERED:
            return None
        for found in self.trades:
            if found[:2] == key[:2] and found[3] == key[3] and self.facts.is_live(found[2]):
                return found
        return None

    def _is_moment(self, stored: TradeKey, told: TradeKey, unit: Unit) -> bool:
        if stored[2] == told[2]:
            return True
        finer = {"s": ("ms", "us"), "ms": ("us",), "us": ()}
        if unit != "us" and cut_time(stored[2], unit) == told[2]:
            return True
        return any(
            unit in finer[seen] and cut_time(told[2], seen) == stored[2]
            for seen in self.units.get(told[:2], ())
        )

    def _put(self, key: TradeKey, values: Values) -> None:
        self.trades[key] = values

    # ------------------------------------------------------------------ statements

    def insert(self, rows: Sequence[Any], how: str) -> Result:
        """INSERT rows in one statement: "plain", "nothing" (ON CONFLICT DO NOTHING) or "update"."""
        trades = [row.trade() for row in rows_of(rows)]
        if not trades:
            return "ok"
        keys = [(t.symbol, t.exchange, t.timestamp, t.id) for t in trades]
        taken = [k for k in keys if k in self.trades and self.facts.is_live(k[2])]
        # the first row that cannot be stored says why
        for n, key in enumerate(keys):
            if fault := self._needs_partitions([key[2]]):
                return fault
            if how == "plain" and (key in taken or key in keys[:n]):
                return UNIQUE
            if how == "update" and key in keys[:n]:
                return "CardinalityViolation"
        fresh: dict[TradeKey, Values] = {}
        written: dict[TradeKey, Values] = {}
        for key, t in zip(keys, trades, strict=True):
            values = values_of(t)
            if key in taken:
                if how == "update":
                    written[key] = self.trades[key]._replace(price=t.price, volume=t.volume)
            elif key not in fresh:
                fresh[key] = values
        if any(not self.facts.is_open(k[:2], k[2]) for k in (*fresh, *written)) or any(
            is_refused(k[:2], v.price) for k, v in (fresh | written).items()
        ):
            return CHECK
        # the trigger compares what was inserted with all that is stored, itself too
        told = {**{k: v for k, v in self.trades.items() if self.facts.is_live(k[2])}, **fresh}
        for key in fresh:
            if key[:2] in NUMBERED and any(
                k[:2] == key[:2] and k[3] == key[3] and k[2] != key[2] for k in told
            ):
                return UNIQUE
        for key, values in (fresh | written).items():
            self._put(key, values)
        return "ok"

    def _needs_partitions(self, times: Iterable[datetime]) -> str | None:
        """Say how an INSERT fails for want of a partition, which writers make where they may."""
        for time in times:
            if not self.facts.is_live(time) and time < self.facts.floor:
                return CHECK
        return None

    def touched(self, where: Mapping[str, Any]) -> list[TradeKey]:
        """Return the stored trades that a condition is about, see writers.condition()."""
        return [key for key in self.trades if self.facts.is_live(key[2]) and matches(key, where)]

    def change(self, where: Mapping[str, Any], to: Mapping[str, Any]) -> Result:
        """UPDATE what a condition is about, or DELETE it if ``to`` is empty."""
        keys = self.touched(where)
        moved = {key: (moved_key(key, to), self.trades[key]) for key in keys}
        if not to:
            if any(not self.facts.is_open(k[:2], k[2]) for k in keys):
                return CHECK
            for key in keys:
                del self.trades[key]
            return "ok"
        ends = [key for key, _ in moved.values()]
        if any(is_refused(end[:2], changed(values, to).price) for end, values in moved.values()):
            return CHECK
        clashes = len(set(ends)) < len(ends) or any(
            e in self.trades and self.facts.is_live(e[2]) and e != k for k, (e, _) in moved.items()
        )
        if any(not self.facts.is_open(k[:2], k[2]) for k in (*keys, *ends)):
            return "ambiguous" if clashes else CHECK  # either may be seen first
        if clashes:
            return UNIQUE
        for key in keys:
            del self.trades[key]
        for end, values in moved.values():
            self._put(end, changed(values, to))
        return "ok"

    def merge(self, rows: Sequence[Any], orders: Sequence[str], *, inserts: bool = True) -> Result:
        """MERGE rows, each with what is to be done where its key is stored; see writers.merge()."""
        trades = [row.trade() for row in rows_of(rows)]
        needed = [t.timestamp for t in trades if inserts]
        if fault := self._needs_partitions(needed):
            return fault
        after = {k: v for k, v in self.trades.items() if self.facts.is_live(k[2])}
        gone = {k: v for k, v in self.trades.items() if not self.facts.is_live(k[2])}
        seen: set[TradeKey] = set()
        ambiguous = refused = False
        written: list[TradeKey] = []
        for t, order in zip(trades, orders, strict=True):
            key = (t.symbol, t.exchange, t.timestamp, t.id)
            seen.add(key)
            is_stored = key in self.stored()
            writes = order in ("write", *MOVES) if is_stored else inserts
            refused = refused or (writes and is_refused(key[:2], t.price))
            if not is_stored:
                if inserts:
                    after[key] = values_of(t)
                    written.append(key)
                continue
            written.append(key)
            if order == "delete":
                after.pop(key, None)
            elif order == "write":
                after[key] = after[key]._replace(price=t.price, volume=t.volume)
            elif order == "side":
                after[key] = after[key]._replace(side=t.side)
            elif order in MOVES:
                end = (*key[:2], key[2] + MOVES[order], key[3])
                written.append(end)
                ambiguous = ambiguous or end in self.stored() or end in after
                values = after.pop(key)
                after[end] = values._replace(price=t.price)
                ambiguous = ambiguous or end in {
                    (o.symbol, o.exchange, o.timestamp, o.id) for o in trades
                }
        if ambiguous:
            return "ambiguous"
        if refused or any(not self.facts.is_open(k[:2], k[2]) for k in written):
            return CHECK
        self.trades = {**gone, **after}
        return "ok"


MOVES = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "month": timedelta(days=31),
    "back": timedelta(days=-31),
}
"""How far a MERGE or UPDATE moves a trade."""


def matches(key: TradeKey, where: Mapping[str, Any]) -> bool:
    """Tell whether a condition is about a trade."""
    start = months_ago(where["back"]) + timedelta(microseconds=where["micro"])
    return (
        start <= key[2] < start + timedelta(microseconds=where["span"])
        and key[:2] == MARKETS[where["market"]]
        and ("id" not in where or id_of(where["market"], where["id"]) == key[3])
    )


def moved_key(key: TradeKey, to: Mapping[str, Any]) -> TradeKey:
    """Return the key that an UPDATE gives to a trade."""
    symbol, exchange, time, number = key
    if "market" in to:
        symbol, exchange = MARKETS[to["market"]]
    return symbol, exchange, time + MOVES.get(to.get("move", ""), timedelta(0)), number


def changed(values: Values, to: Mapping[str, Any]) -> Values:
    """Return what an UPDATE makes of the rest."""
    from tests.soak.universe import EXCLUDED, PRICES, SIDES, VOLUMES

    return Values(
        PRICES[to["price"]] if "price" in to else values.price,
        VOLUMES[to["volume"]] if "volume" in to else values.volume,
        SIDES[to["side"]] if "side" in to else values.side,
        EXCLUDED[to["excluded"]] if "excluded" in to else values.excluded,
        values.source_id,
    )
