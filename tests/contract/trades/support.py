"""What the tests of ingest share: trades, quotes, and what became of them."""

import io
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st

from entasis_db.ingest import (
    IngestReport,
    Replaced,
    ingest_trades,
)
from entasis_db.model import Trade
from tests import oracle
from tests.make import NOON, D

HEADER = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume,side\n"


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


def nanoseconds(moment: datetime) -> int:
    """Since 1970, as our own layout states times."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def write(path: Path, *trades: Trade, ids: bool = True) -> Path:
    """Write a file in our own layout, with or without ids."""
    path.write_text(
        HEADER
        + "".join(
            f"{t.exchange},{t.symbol},{nanoseconds(t.timestamp)},,{t.id if ids else ''},"
            f"{t.price},{t.volume},{t.side or ''}\n"
            for t in trades
        )
    )
    return path


def pipe_in(patch: pytest.MonkeyPatch, path: Path) -> None:
    """Give a file's text on standard input, which cannot be read twice."""
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(path.read_bytes())))
    stdin.buffer.raw.seekable = lambda: False  # type: ignore[attr-defined]
    patch.setattr(sys, "stdin", stdin)


def counts(replaced: Replaced) -> tuple[int, int, int, int]:
    """Added, changed, removed, unchanged."""
    return replaced.added, replaced.changed, replaced.removed, replaced.unchanged


def everything(connection: psycopg.Connection[Any]) -> list[list[tuple[Any, ...]]]:
    """What a replacement that is refused must leave as it was."""
    return [
        connection.execute(f"SELECT * FROM entasis.{relation} ORDER BY 1, 2, 3, 4").fetchall()
        for relation in ("market_data", "markets", "quarantine", "past_retention")
    ]


def with_months(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "SELECT entasis.ensure_partitions(r, '2024-08-01', '2024-09-01')"
        " FROM unnest(ARRAY['market_data', 'option_data']) AS r"
    )


def without_months(connection: psycopg.Connection[Any]) -> None:
    """Drop the empty months of the past, which earlier tests of the file may have made."""
    row = connection.execute(
        "SELECT string_agg(format('entasis_internal.%I', partition_name), ',')"
        " FROM entasis.partitions WHERE to_time < now()"
        # a chunk is made again by the next row that needs it: it may stay
        " AND to_regclass(format('entasis_internal.%I', partition_name)) IS NOT NULL"
    ).fetchone()
    if row and row[0]:
        connection.execute(f"DROP TABLE {row[0]}")


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
    st.decimals(D("0.000000000000000001"), D("9999999"), places=18),
)

sides = st.sampled_from([None, "buy", "sell"])

good_trades = st.builds(
    Trade,
    id=st.sampled_from([0, 1, 2, -(2**63), 2**63 - 1]),
    symbol=st.sampled_from(["BTC", "ETH", "\\N"]),
    exchange=st.sampled_from(["x", "y"]),
    timestamp=times,
    price=good_numbers,
    volume=good_numbers,
    side=sides,
    source_id=st.none(),
    excluded=st.none(),
).filter(lambda t: t.price * t.volume < D("1e13"))
