"""What the tests of ingest share: trades, quotes, and what became of them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg
from hypothesis import strategies as st

from entasis_db.ingest import (
    IngestReport,
    ingest_trades,
)
from entasis_db.model import Trade
from tests import oracle
from tests.make import NOON, D


def ingest(connection: psycopg.Connection[Any], *rows: Trade, **options: Any) -> IngestReport:
    return ingest_trades(connection, rows, **{"source": "feed", "id_space": "trade", **options})


def quarantined(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT source, line, code FROM entasis.quarantine ORDER BY source, line, code"
    ).fetchall()


def by_key(*trades: Trade) -> dict[oracle.TradeKey, tuple[Decimal, Decimal]]:
    return {
        (t.symbol, t.exchange, t.timestamp.astimezone(UTC), t.id): (t.price, t.volume)
        for t in trades
    }


def took_the_slow_way(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT to_regclass('pg_temp.entasis_staged_trades') IS NOT NULL"
        " OR to_regclass('pg_temp.entasis_staged_options') IS NOT NULL"
    ).fetchone()
    assert row is not None
    return bool(row[0])


def with_months(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "SELECT entasis.ensure_partitions(r, '2024-08-01', '2024-09-01')"
        " FROM unnest(ARRAY['market_data', 'option_data']) AS r"
    )


def moment(*date: int) -> str:
    return str(int(datetime(*date, tzinfo=UTC).timestamp()) * 10**9)  # type: ignore[misc, arg-type]


times = st.one_of(
    st.builds(lambda n: NOON + timedelta(microseconds=n), st.integers(0, 3)),
    st.builds(lambda n: NOON + timedelta(seconds=n), st.integers(-90_000, 90_000)),
    st.sampled_from(
        [datetime(2023, 12, 31, 23, 59, 59, 999999, UTC), datetime(2024, 1, 1, tzinfo=UTC)]
    ),
).map(lambda t: t.astimezone(timezone(timedelta(hours=t.second % 3 - 1))))


good_numbers = st.one_of(
    st.sampled_from([D(1), D("1.0"), D(2), D("61804.5")]),
    st.decimals(D("0.000000000001"), D("9999999"), places=12),
)

sides = st.sampled_from([None, "buy", "sell"])

good_trades = st.builds(
    Trade,
    id=st.sampled_from([0, 1, 2, -(2**63), 2**63 - 1]),
    symbol=st.sampled_from(["BTC", "ETH", "\\N\t"]),
    exchange=st.sampled_from(["x", "y"]),
    timestamp=times,
    price=good_numbers,
    volume=good_numbers,
    side=sides,
).filter(lambda t: t.price * t.volume < D("1e13"))
