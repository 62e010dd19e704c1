"""What stands out: finding it, listing it, and deciding about it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

import psycopg

from entasis_db.cursors import execute
from entasis_db.quality.gaps import market_range
from entasis_db.quality.rows import Anomaly, AnomalyKind, AnomalyState
from entasis_db.queries import Statement
from entasis_db.runs import recorded

Decision = Literal["acknowledged", "confirmed", "dismissed"]

_ANOMALIES = """
SELECT
    a.id, a.kind, a.state, a.relation, a.symbol, a.exchange, a.begins_at, a.ends_at, a.row_key,
    a.observed, a.expected, a.detail, a.found_at, a.decided_at, a.decided_by, a.note, a.excluded_as
FROM entasis.anomalies AS a
WHERE
    (
        %(state)s::pg_catalog.text IS NULL
        OR a.state OPERATOR(pg_catalog.=) %(state)s::pg_catalog.text
    )
    AND (
        %(kind)s::pg_catalog.text IS NULL
        OR a.kind OPERATOR(pg_catalog.=) %(kind)s::pg_catalog.text
    )
    AND (
        %(symbol)s::pg_catalog.text IS NULL
        OR a.symbol OPERATOR(pg_catalog.=) %(symbol)s::pg_catalog.text
    )
    AND (
        %(exchange)s::pg_catalog.text IS NULL
        OR a.exchange OPERATOR(pg_catalog.=) %(exchange)s::pg_catalog.text
    )
    AND a.begins_at OPERATOR(pg_catalog.>=) %(from_time)s::pg_catalog.timestamptz
    AND a.begins_at OPERATOR(pg_catalog.<) %(to_time)s::pg_catalog.timestamptz
ORDER BY a.begins_at, a.id
"""


@dataclass(frozen=True)
class Detected:
    """What a run of detection did."""

    market_days: int
    """How many UTC days of a market it looked at."""
    found: int
    """How many anomalies are new."""


def anomalies(
    state: AnomalyState | None = None,
    kind: AnomalyKind | None = None,
    symbol: str | None = None,
    exchange: str | None = None,
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> Statement[Anomaly]:
    """List what was found in [from_time, to_time), by time.

    The connection belongs to a member of entasis_writer. Raises ValueError for a time without a
    zone and for a range that holds nothing.
    """
    where = market_range(symbol, exchange, from_time, to_time)
    params = MappingProxyType({**where, "state": state, "kind": kind})
    return Statement("anomalies", _ANOMALIES, params, Anomaly)


def detect(
    connection: psycopg.Connection[Any],
    from_time: datetime | None = None,
    to_time: datetime | None = None,
    *,
    symbol: str | None = None,
    exchange: str | None = None,
    reach: timedelta = timedelta(days=32),
    progress: Callable[[str], None] = lambda _: None,
) -> Detected:
    """Look for anomalies in a range, or in what is new or has changed since the last time.

    Without a range and a market: in each UTC day of a market whose candles have changed since it
    was examined, of those within ``reach`` of its newest; in new quotes; and in quarantine. A run
    is recorded, and each market's day is committed by itself. ``connection`` is in autocommit mode
    and belongs to a member of entasis_admin. Raises ValueError as ``anomalies`` does, and
    psycopg.Error when the server refuses.
    """
    where = market_range(symbol, exchange, from_time, to_time)
    is_range = any(one is not None for one in (from_time, to_time, symbol, exchange))
    with recorded(connection, "detect") as (_, detail):
        if is_range:
            days, found = _detect_range(connection, where, progress)
        else:
            days, found = _detect_new(connection, reach, progress)
        ((refused,),) = execute(connection, "SELECT entasis.take_refused()")
        detail.update(market_days=days, found=found + refused)
    return Detected(days, found + refused)


def decide(
    connection: psycopg.Connection[Any],
    anomaly: int,
    decision: Decision,
    note: str | None = None,
    reason: str | None = None,
) -> bool:
    """Acknowledge, confirm or dismiss an anomaly; return whether its trade was changed.

    Confirming excludes the trade from candles, by the word ``reason`` (None: ``confirmed_bad``, or
    ``duplicate``); any other decision takes that back if it was this anomaly that had excluded it.
    ``connection`` belongs to a member of entasis_admin. Raises psycopg.errors.CheckViolation below
    the floor, psycopg.errors.NoDataFound where there is no such anomaly, or its trade is gone.
    """
    ((changed,),) = execute(
        connection,
        "SELECT entasis.decide_anomaly(%s, %s, %s, %s)",
        anomaly,
        decision,
        note,
        reason,
    )
    return bool(changed)


def note_candle_differences(
    connection: psycopg.Connection[Any],
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> int:
    """Note among the anomalies which candles differ from the exchange's; return how many are new.

    None is no bound. ``connection`` belongs to a member of entasis_admin. Raises psycopg.Error when
    the server refuses.
    """
    ((found,),) = execute(
        connection,
        "SELECT entasis.note_candle_differences(%s, %s)",
        from_time or "-infinity",
        to_time or "infinity",
    )
    return int(found)


def _detect_new(
    connection: psycopg.Connection[Any], reach: timedelta, progress: Callable[[str], None]
) -> tuple[int, int]:
    days = execute(
        connection, "SELECT symbol, exchange, day FROM entasis.unexamined_days(%s)", reach
    )
    found = 0
    for symbol, exchange, day in days:
        found += _noted(
            progress,
            _market_day(exchange, symbol, day),
            execute(connection, "SELECT entasis.examine_day(%s, %s, %s)", symbol, exchange, day),
        )
    found += _noted(progress, "options", execute(connection, "SELECT entasis.detect_quotes()"))
    return len(days), found


def _detect_range(
    connection: psycopg.Connection[Any],
    where: MappingProxyType[str, object],
    progress: Callable[[str], None],
) -> tuple[int, int]:
    days = execute(connection, "SELECT * FROM entasis.market_days(%s, %s, %s, %s)", *where.values())
    found = 0
    for symbol, exchange, begins, ends in days:
        found += _noted(
            progress,
            _market_day(exchange, symbol, begins),
            execute(
                connection,
                "SELECT entasis.detect_anomalies(%s, %s, %s, %s)",
                begins,
                ends,
                symbol,
                exchange,
            ),
        )
    if where["symbol"] is None and where["exchange"] is None:
        quotes = execute(
            connection,
            "SELECT entasis.detect_quotes(%s, %s)",
            where["from_time"],
            where["to_time"],
        )
        found += _noted(progress, "options", quotes)
    return len(days), found


def _market_day(exchange: str, symbol: str, day: datetime) -> str:
    return f"{exchange} {symbol} {day.astimezone(UTC):%Y-%m-%d}"


def _noted(progress: Callable[[str], None], of_what: str, answer: list[tuple[Any, ...]]) -> int:
    found = int(answer[0][0])
    if found:
        progress(f"{of_what}: {found} anomalies")
    return found
