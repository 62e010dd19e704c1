"""What the tests of the named queries share: sessions, and rows to ask for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import strategies as st

from entasis_db.queries import (
    Interval,
    OptionQuote,
    OptionType,
    PositionSnapshot,
    Prediction,
    Trade,
)
from tests import make
from tests.db import count_within_timestamps
from tests.make import MICROSECOND

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86400))


MARCH = datetime(2024, 3, 1, tzinfo=UTC)

USER, OTHER = UUID(int=1), UUID(int=2)

# ids that neither rise nor fall with the order in which their rows are stored
NUMBERS = [n * 37 % 101 for n in range(1, 101)]

MARKET = ("BTCUSDT", "binance-spot")


@dataclass(frozen=True)
class Session:
    """What a caller's session may be like, of which no answer may depend."""

    zone: str = "UTC"
    indexes: bool = True
    """False: the planner reads tables from end to end, so that an order is the query's own."""


sessions = st.builds(
    Session, st.sampled_from(("UTC", "America/New_York", "Asia/Kathmandu")), st.booleans()
)


@contextmanager
def example(connection: psycopg.Connection[Any], session: Session = Session()) -> Iterator[None]:
    """Run one example of a property, and leave nothing behind."""
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('timezone', %s, true)", (session.zone,))
        if not session.indexes:
            connection.execute("SET LOCAL enable_indexscan = off")
            connection.execute("SET LOCAL enable_indexonlyscan = off")
            connection.execute("SET LOCAL enable_bitmapscan = off")
        yield


def insert_trades(connection: psycopg.Connection[Any], trades: Sequence[Trade]) -> None:
    """Insert in two statements, so that what is stored may lie in any order."""
    count_within_timestamps(connection, *((t.symbol, t.exchange) for t in trades))
    half = len(trades) // 2
    for batch in filter(None, (trades[:half], trades[half:])):
        connection.execute(
            """
            INSERT INTO entasis.market_data (
                id, symbol, exchange, timestamp, price, volume, side, source_id, excluded
            )
            SELECT * FROM unnest(
                %s::bigint[], %s::text[], %s::text[], %s::timestamptz[],
                %s::numeric[], %s::numeric[], %s::text[], %s::text[], %s::text[]
            )
            """,
            [list(column) for column in zip(*batch, strict=True)],
        )


def trade(
    timestamp: datetime,
    number: int,
    price: Decimal = Decimal(1),
    volume: Decimal = Decimal(1),
    market: tuple[str, str] = MARKET,
) -> Trade:
    symbol, exchange = market
    return make.trade(
        number, symbol=symbol, exchange=exchange, timestamp=timestamp, price=price, volume=volume
    )


def quote(
    timestamp: datetime,
    number: int = 1,
    underlying: str = "BTC",
    expiry: datetime = MARCH + 28 * DAY,
    strike: int = 60000,
    option_type: OptionType = "call",
    iv: Decimal | None = Decimal("0.65"),
    underlying_price: Decimal | None = None,
) -> OptionQuote:
    return make.quote(
        number,
        underlying=underlying,
        strike_price=Decimal(strike),
        expiry_date=expiry,
        option_type=option_type,
        iv=iv,
        delta=Decimal(number) / 8,
        theta=None,
        vega=Decimal("1.5"),
        underlying_price=underlying_price,
        timestamp=timestamp,
    )


# Around a Monday, a change of the month, and the days on which New York changes its clock.
ANCHORS = (
    datetime(2024, 2, 26, tzinfo=UTC),
    MARCH,
    datetime(2024, 3, 10, 7, tzinfo=UTC),
    datetime(2024, 11, 3, 6, tzinfo=UTC),
)

decimals = st.decimals("0.000000000001", "99999", places=12)

# few different offsets, so that timestamps tie and fall on the bounds of buckets
offsets = st.builds(
    lambda unit, count, edge: unit * count + edge,
    st.sampled_from((SECOND, MINUTE, 5 * MINUTE, HOUR, 4 * HOUR, DAY)),
    st.integers(-3, 3),
    st.sampled_from((timedelta(0), -MICROSECOND, MICROSECOND)),
)

markets = st.sampled_from(
    (
        MARKET,
        MARKET,
        MARKET,
        MARKET,
        ("BTCUSDT", "kraken"),
        ("ETHUSDT", "binance-spot"),
        ("BTC", "x"),
    )
)


def tied(moments: st.SearchStrategy[datetime]) -> st.SearchStrategy[st.SearchStrategy[datetime]]:
    """Draw a few moments and let rows share them: ties are where an order shows."""
    return st.lists(moments, min_size=3, max_size=6, unique=True).map(st.sampled_from)


def trades_at(
    moments: st.SearchStrategy[datetime], numbers: st.SearchStrategy[Decimal]
) -> st.SearchStrategy[list[Trade]]:
    return tied(moments).flatmap(
        lambda some: st.lists(
            st.builds(trade, some, st.integers(1, 9), numbers, numbers, markets),
            min_size=6,
            max_size=20,
            unique_by=lambda t: (t.symbol, t.exchange, t.timestamp, t.id),
        )
    )


# one anchor an example, or hardly two trades would share a candle
scenes = st.sampled_from(ANCHORS).flatmap(
    lambda anchor: st.tuples(
        st.just(anchor), trades_at(offsets.map(lambda offset: anchor + offset), decimals)
    )
)


def in_order(trades: Sequence[Trade], market: tuple[str, str] = MARKET) -> list[Trade]:
    own = (t for t in trades if (t.symbol, t.exchange) == market)
    return sorted(own, key=lambda t: (t.timestamp, t.id))


def bucket_of(interval: Interval, time: datetime) -> datetime:
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "1mo":
        return midnight.replace(day=1)
    if interval == "1w":
        return midnight - timedelta(days=time.weekday())
    step = STEPS[interval]
    return midnight + (time - midnight) // step * step


STEPS: dict[Interval, timedelta] = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "4h": 4 * HOUR,
    "1d": DAY,
    "1w": 7 * DAY,
}


def prediction(
    number: int,
    timestamp: datetime,
    target_time: datetime | None,
    prediction_type: str = "price",
    value: Decimal = Decimal(1),
    model_id: str = "m",
    symbol: str = MARKET[0],
) -> Prediction:
    confidence = Decimal("0.5")
    return Prediction(
        id=number,
        model_id=model_id,
        symbol=symbol,
        prediction_type=prediction_type,
        predicted_value=value,
        confidence=confidence,
        timestamp=timestamp,
        target_time=target_time,
    )


score_times = st.builds(
    lambda minutes, edge: MARCH + minutes * 20 * SECOND + edge,
    st.integers(-6, 6),
    st.sampled_from((timedelta(0), MICROSECOND, -MICROSECOND)),
)

prices = st.sampled_from([Decimal(p) for p in ("1", "1.000000000001", "3", "7", "70000.01")])


def snapshot(number: int, user: UUID, asset: str, timestamp: datetime) -> PositionSnapshot:
    return PositionSnapshot(
        id=number,
        user_id=user,
        asset_type=asset,
        position_size=Decimal("-0.5"),
        entry_price=Decimal("60000.01"),
        current_price=Decimal(61000 + number),
        pnl=Decimal("-499.995"),
        timestamp=timestamp,
    )
