"""Stored candles compared with their trades, and computed anew."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from entasis_db.cursors import Cursor, execute

Progress = Callable[[str], None]


@dataclass(frozen=True)
class CandleDifference:
    """A stored candle that is not what its trades say."""

    relation: str
    """The table or aggregate of schema entasis: ohlcv_1m, ohlcv_1h or ohlcv_1d."""
    exchange: str
    """The venue."""
    symbol: str
    """The instrument."""
    bucket: datetime
    """When its bucket begins; UTC."""
    problem: str
    """``missing trades``; or, where the candle is wrong, ``missing``, ``surplus`` or ``different``:
    as in entasis.check_candles()."""
    missing_trades: int
    """Trades that it counts and market_data does not hold. 0: the candle is wrong."""


def check_candles(
    connection: psycopg.Connection[Any],
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> list[CandleDifference]:
    """Return the stored candles that differ from the trades of the UTC days in the range.

    The range is [from_time, to_time), widened to whole days; None is no bound. ``connection``
    belongs to a member of entasis_admin. On engine timescaledb, candles count what was deleted
    until they are refreshed. Raises psycopg.Error when the server refuses, and for a range that is
    empty or reversed.
    """
    with Cursor(connection) as cursor:
        cursor.execute(
            "SELECT relation, exchange, symbol, bucket, problem, missing_trades"
            " FROM entasis.check_candles(%s, %s)",
            [from_time or "-infinity", to_time or "infinity"],
        )
        return [
            CandleDifference(relation, exchange, symbol, bucket.astimezone(UTC), problem, missing)
            for relation, exchange, symbol, bucket, problem, missing in cursor
        ]


def refresh_candles(
    connection: psycopg.Connection[Any],
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> None:
    """Bring the candles of [from_time, to_time) up to date with all committed trades.

    None is no bound. ``connection`` is in autocommit mode and belongs to a member of
    entasis_admin. Raises psycopg.Error when the server refuses.
    """
    execute(
        connection,
        "CALL entasis.refresh_candles(%s, %s)",
        *(from_time or "-infinity", to_time or "infinity"),
    )


def rebuild_candles(
    connection: psycopg.Connection[Any],
    from_time: datetime,
    to_time: datetime,
    progress: Progress = lambda _: None,
    *,
    force: bool = False,
) -> None:
    """Compute the candles of the UTC days of [from_time, to_time) anew from their trades.

    A range in which trades are missing, because a candle counts more than market_data holds, is
    refused (psycopg.errors.ObjectNotInPrerequisiteState), unless ``force`` is true: its candles
    then count only what is left. ``connection`` is in autocommit mode and belongs to a member of
    entasis_admin. ``progress`` is called with each line that the server reports. Raises
    psycopg.Error when the server refuses, and for a range that is empty or reversed.
    """
    if not connection.autocommit:
        raise ValueError("rebuild over a connection in autocommit mode: it commits as it goes")

    def report(diagnostic: psycopg.errors.Diagnostic) -> None:
        progress(diagnostic.message_primary or "")

    connection.add_notice_handler(report)
    try:
        execute(connection, "CALL entasis.rebuild_candles(%s, %s, %s)", from_time, to_time, force)
    finally:
        connection.remove_notice_handler(report)
