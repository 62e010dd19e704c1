"""Ids of trades: digests of those that are text, and those that cannot be right."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import psycopg

from entasis_db.cursors import Cursor


def digest_id(source_id: str) -> int:
    """Return the id of a trade whose source numbers trades by other text than 64-bit integers.

    It is the first 63 bits of the SHA-256 of the text in UTF-8, as entasis.digest_id() makes it.
    The market has the id space ``digest``, and Trade.source_id keeps the text.
    """
    return int.from_bytes(sha256(source_id.encode()).digest()[:8]) >> 1


@dataclass(frozen=True)
class IdProblem:
    """An id of a market that is stored at several times, or ids that go back in time."""

    problem: str
    """``repeated`` or ``out of order``, as in entasis.check_ids()."""
    exchange: str
    """The venue."""
    symbol: str
    """The instrument."""
    first_id: int
    """The id that is repeated, or that comes after a larger one."""
    last_id: int
    """The same id, or the larger one."""
    first_time: datetime
    """When the earlier of the two trades was made; UTC."""
    last_time: datetime
    """When the later one was made; UTC."""
    remedy: str | None
    """The statement that removes the trade that was stored last; None: some time is wrong."""


def check_ids(
    connection: psycopg.Connection[Any],
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> list[IdProblem]:
    """Return what is wrong with the ids of markets that have trades in [from_time, to_time).

    None is no bound. It reads all trades. ``connection`` belongs to a member of entasis_admin.
    Raises psycopg.Error when the server refuses.
    """
    with Cursor(connection) as cursor:
        cursor.execute(
            "SELECT problem, exchange, symbol, first_id, last_id, first_time, last_time, remedy"
            " FROM entasis.check_ids(%s, %s)",
            [from_time or "-infinity", to_time or "infinity"],
        )
        return [
            IdProblem(
                problem,
                exchange,
                symbol,
                first_id,
                last_id,
                first.astimezone(UTC),
                last.astimezone(UTC),
                remedy,
            )
            for problem, exchange, symbol, first_id, last_id, first, last, remedy in cursor
        ]
