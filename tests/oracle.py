"""What the candles have to be, computed from the trades in plain Python, and what they are.

Every level is computed from the trades themselves, not from the level below it, so a mistake in
rolling candles up cannot be in both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import psycopg

STORED = ("1m", "1h", "1d")
DERIVED = ("5m", "15m", "30m", "4h", "1w", "1mo")
LEVELS = (*STORED, *DERIVED)

COLUMNS = (
    "symbol",
    "exchange",
    "bucket",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trades",
    "opened_at",
    "first_trade_id",
    "closed_at",
    "last_trade_id",
)

TradeKey = tuple[str, str, datetime, int]
"""Symbol, exchange, timestamp, id."""
Trades = Mapping[TradeKey, tuple[Decimal, Decimal]]
"""Price and volume by key."""
CandleKey = tuple[str, str, datetime]
"""Symbol, exchange, bucket."""


class Candle(NamedTuple):
    """The columns of a candle that are not its key, in the order of COLUMNS."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    opened_at: datetime
    first_trade_id: int
    closed_at: datetime
    last_trade_id: int


Candles = dict[CandleKey, Candle]


def _whole(step: timedelta) -> Callable[[datetime], datetime]:
    # a Monday, so that weeks begin on one; the shorter steps divide a day
    origin = datetime(2001, 1, 1, tzinfo=UTC)
    return lambda time: origin + (time - origin) // step * step


def _month(time: datetime) -> datetime:
    return datetime(time.year, time.month, 1, tzinfo=UTC)


_BUCKET: dict[str, Callable[[datetime], datetime]] = {
    "1m": _whole(timedelta(minutes=1)),
    "5m": _whole(timedelta(minutes=5)),
    "15m": _whole(timedelta(minutes=15)),
    "30m": _whole(timedelta(minutes=30)),
    "1h": _whole(timedelta(hours=1)),
    "4h": _whole(timedelta(hours=4)),
    "1d": _whole(timedelta(days=1)),
    "1w": _whole(timedelta(days=7)),
    "1mo": _month,
}


def bucket(level: str, time: datetime) -> datetime:
    """Answer the beginning of the bucket that holds the time, in UTC."""
    return _BUCKET[level](time.astimezone(UTC))


def candles(trades: Trades, level: str) -> Candles:
    """Compute all candles of one level."""
    groups: dict[CandleKey, list[tuple[datetime, int, Decimal, Decimal]]] = {}
    for (symbol, exchange, time, trade_id), (price, volume) in trades.items():
        key = (symbol, exchange, bucket(level, time))
        groups.setdefault(key, []).append((time.astimezone(UTC), trade_id, price, volume))
    with localcontext() as context:
        context.prec = 200  # Python would round to 28 digits
        return {
            key: Candle(
                open=min(group)[2],
                high=max(price for _, _, price, _ in group),
                low=min(price for _, _, price, _ in group),
                close=max(group)[2],
                volume=sum((volume for *_, volume in group), Decimal(0)),
                quote_volume=sum((price * volume for _, _, price, volume in group), Decimal(0)),
                trades=len(group),
                opened_at=min(group)[0],
                first_trade_id=min(group)[1],
                closed_at=max(group)[0],
                last_trade_id=max(group)[1],
            )
            for key, group in groups.items()
        }


SOURCE = {
    **dict.fromkeys(("5m", "15m", "30m"), "ohlcv_1m"),
    "4h": "ohlcv_1h",
    **dict.fromkeys(("1w", "1mo"), "ohlcv_1d"),
}
"""What derived candles are computed from."""


def known_whole(
    connection: psycopg.Connection[Any], candles: Mapping[str, Candles]
) -> dict[str, Candles]:
    """Leave out what is known in part only: derived buckets that begin below a floor.

    What was restored is known, and so is a bucket whose part below the floor was.
    """
    floors: dict[str, datetime] = {}
    for relation, floor in connection.execute(
        "SELECT relation, floor FROM entasis.floors WHERE isfinite(floor)"
    ):
        floors[relation] = floor.astimezone(UTC)
    if not floors:
        return dict(candles)
    restored = [
        (relation, from_time.astimezone(UTC), to_time.astimezone(UTC))
        for relation, from_time, to_time in connection.execute(
            "SELECT relation, from_time, to_time FROM entasis.restores"
            " WHERE attached_at IS NOT NULL ORDER BY from_time"
        )
    ]

    def is_whole(level: str, start: datetime) -> bool:
        source = SOURCE[level]
        end = min(_end(level, start), floors.get(source, start))
        for relation, from_time, to_time in restored:
            if relation == source and from_time <= start < to_time:
                start = to_time
        return start >= end

    return {
        level: {
            key: candle
            for key, candle in of_level.items()
            if level in STORED or is_whole(level, key[2])
        }
        for level, of_level in candles.items()
    }


def _end(level: str, start: datetime) -> datetime:
    """Answer the end of the bucket that begins at the time."""
    later = start + timedelta(days=32 if level == "1mo" else 0)
    steps = {"5m": 5, "15m": 15, "30m": 30, "4h": 240, "1w": 7 * 1440}
    return _month(later) if level == "1mo" else start + timedelta(minutes=steps[level])


def stored_trades(connection: psycopg.Connection[Any]) -> dict[TradeKey, tuple[Decimal, Decimal]]:
    """Read all trades."""
    return {
        (symbol, exchange, time.astimezone(UTC), trade_id): (price, volume)
        for symbol, exchange, time, trade_id, price, volume in connection.execute(
            "SELECT symbol, exchange, timestamp, id, price, volume FROM entasis.market_data"
        )
    }


def excluded_trades(connection: psycopg.Connection[Any]) -> set[TradeKey]:
    """Read which trades no candle may count."""
    return {
        (symbol, exchange, time.astimezone(UTC), trade_id)
        for symbol, exchange, time, trade_id in connection.execute(
            "SELECT symbol, exchange, timestamp, id FROM entasis.market_data"
            " WHERE excluded IS NOT NULL"
        )
    }


def stored_sides(connection: psycopg.Connection[Any]) -> dict[TradeKey, str | None]:
    """Read the sides of all trades."""
    return {
        (symbol, exchange, time.astimezone(UTC), trade_id): side
        for symbol, exchange, time, trade_id, side in connection.execute(
            "SELECT symbol, exchange, timestamp, id, side FROM entasis.market_data"
        )
    }


@dataclass(frozen=True)
class Ingested:
    """What ingest has to store of admissible trades that come one after the other."""

    trades: dict[TradeKey, tuple[Decimal, Decimal]] = field(default_factory=dict)
    sides: dict[TradeKey, str | None] = field(default_factory=dict)

    def put(self, key: TradeKey, values: tuple[Decimal, Decimal], side: str | None) -> str:
        """Take one trade, and say what becomes of it."""
        if key not in self.trades:
            self.trades[key], self.sides[key] = values, side
            return "inserted"
        if self.trades[key] != values:
            return "conflict"
        if side is not None:
            if self.sides[key] is None:
                self.sides[key] = side
            elif self.sides[key] != side:
                return "conflict"
        return "already there"


def candle_table(connection: psycopg.Connection[Any], level: str) -> str:
    """Name the table that the candles of a stored level lie in, for tests that damage it."""
    (aggregates,) = connection.execute(
        "SELECT to_regprocedure('entasis_internal.hypertable_of(text)') IS NOT NULL"
    ).fetchone() or (False,)
    if not aggregates:
        return f"entasis.ohlcv_{level}"
    (table,) = connection.execute(
        "SELECT format('%%I.%%I', schema_name, table_name) FROM entasis_internal.hypertable_of(%s)",
        [f"ohlcv_{level}"],
    ).fetchone() or ("",)
    return str(table)


_ALL_LEVELS = " UNION ALL ".join(
    f"SELECT '{level}' AS level, {', '.join(COLUMNS)} FROM entasis.ohlcv_{level}"
    for level in LEVELS
)


def stored_candles(connection: psycopg.Connection[Any]) -> dict[str, Candles]:
    """Read all candles of every level."""
    found: dict[str, Candles] = {level: {} for level in LEVELS}
    for level, symbol, exchange, start, *rest in connection.execute(_ALL_LEVELS):
        # Times in the session's own zone may be ambiguous there, and Python takes such a time for
        # unequal to every time of another zone.
        rest = [v.astimezone(UTC) if isinstance(v, datetime) else v for v in rest]
        key = (symbol, exchange, start.astimezone(UTC))
        assert key not in found[level], f"two candles of ohlcv_{level} have the key {key}"
        found[level][key] = Candle(*rest)
    return found


def refresh(
    connection: psycopg.Connection[Any],
    from_time: datetime = datetime(2009, 1, 1, tzinfo=UTC),
    to_time: datetime = datetime(2100, 1, 1, tzinfo=UTC),
) -> None:
    """Make the candles show every committed trade; not every engine does so by itself."""
    connection.execute("CALL entasis.refresh_candles(%s, %s)", [from_time, to_time])


@dataclass(frozen=True)
class Difference:
    """A candle that is not what the trades say; None where there is no candle."""

    level: str
    key: CandleKey
    stored: Candle | None
    expected: Candle | None


def differences(connection: psycopg.Connection[Any], trades: Trades) -> list[Difference]:
    """Compare the stored candles of all levels with those that the given trades make."""
    stored = stored_candles(connection)
    found = []
    made = known_whole(connection, {level: candles(trades, level) for level in LEVELS})
    for level, expected in made.items():
        found += [
            Difference(level, key, stored[level].get(key), expected.get(key))
            for key in sorted({*stored[level], *expected})
            if stored[level].get(key) != expected.get(key)
        ]
    return found


def assert_candles_are_right(
    connection: psycopg.Connection[Any], trades: Trades | None = None
) -> None:
    """Fail unless every candle is what the trades say, and check_candles() agrees.

    ``trades`` are those that ought to be stored; without them, what is stored is believed.
    """
    refresh(connection)
    stored = stored_trades(connection)
    if trades is not None:
        assert stored == dict(trades)
    excluded = excluded_trades(connection)
    counted = {key: values for key, values in stored.items() if key not in excluded}
    wrong = differences(connection, counted)
    reported = connection.execute("SELECT * FROM entasis.check_candles()").fetchall()
    assert not wrong, f"{len(wrong)} candles are wrong, the first: {wrong[0]}"
    assert not reported, f"check_candles() reports {len(reported)}, the first: {reported[0]}"
