"""Stored candles compared with their trades, and computed anew."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import tuple_row

Progress = Callable[[str], None]


@dataclass(frozen=True)
class WrongCandle:
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
    """What is wrong, in one word, as in entasis.check_candles()."""


def check_candles(
    connection: psycopg.Connection[Any],
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> list[WrongCandle]:
    """Return the stored candles that differ from the trades of the UTC days in the range.

    The range is [from_time, to_time), widened to whole days; None is no bound. ``connection``
    belongs to a member of entasis_admin. Raises psycopg.Error when the server refuses.
    """
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(
            "SELECT relation, exchange, symbol, bucket, problem FROM entasis.check_candles(%s, %s)",
            [from_time or "-infinity", to_time or "infinity"],
        )
        return [
            WrongCandle(relation, exchange, symbol, bucket.astimezone(UTC), problem)
            for relation, exchange, symbol, bucket, problem in cursor
        ]


def rebuild_candles(
    connection: psycopg.Connection[Any],
    from_time: datetime,
    to_time: datetime,
    progress: Progress = lambda _: None,
) -> None:
    """Compute the candles of the UTC days of [from_time, to_time) anew from their trades.

    ``connection`` is in autocommit mode and belongs to a member of entasis_admin. ``progress`` is
    called with each line that the server reports. Raises psycopg.Error when the server refuses.
    """
    if not connection.autocommit:
        raise ValueError("rebuild over a connection in autocommit mode: it commits as it goes")

    def report(diagnostic: psycopg.errors.Diagnostic) -> None:
        progress(diagnostic.message_primary or "")

    connection.add_notice_handler(report)
    try:
        connection.execute("CALL entasis.rebuild_candles(%s, %s)", [from_time, to_time])
    finally:
        connection.remove_notice_handler(report)
