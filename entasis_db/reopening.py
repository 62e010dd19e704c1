"""The way back below the floor: ranges that were dropped are opened for writers again.

The floor stays where it is. What was archived is restored into its relation first, so that every
trade that a candle counts is stored; then the range is recorded in ``entasis.reopened``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from entasis_db.cursors import execute
from entasis_db.errors import ArchiveError

if TYPE_CHECKING:  # the archive needs libraries that not everybody has
    from entasis_db.archive import Event, Store

Progress = Callable[[str], None]
KEEP_FOR = timedelta(days=30)
"""How long maintenance leaves a reopened range there, unless told otherwise."""


@dataclass(frozen=True)
class LostCandles:
    """Candles of a market that count trades which are stored nowhere."""

    symbol: str
    """The instrument."""
    exchange: str
    """The venue."""
    days: int
    """How many of them are candles of a UTC day."""
    candles: int
    """How many they are: of minutes, hours and days."""


def restore_archived(
    connection: psycopg.Connection[Any],
    relation: str,
    from_time: datetime,
    to_time: datetime,
    *,
    store: "Store | None",
    hold: timedelta = KEEP_FOR,
    progress: Progress = lambda _: None,
    session_pooler: bool = False,
) -> None:
    """Attach the archived ranges of a relation, and of its candles, that meet [from_time, to_time).

    ``connection`` is in autocommit mode and belongs to a member of entasis_admin. Raises
    ArchiveError when there are such ranges and no ``store``, or as
    :func:`entasis_db.archive.restore` does, which ``session_pooler`` is for.
    """
    found = execute(
        connection,
        """
        SELECT a.relation, a.from_time, a.to_time
        FROM entasis.archives AS a
        INNER JOIN entasis.keep_periods AS k ON a.relation OPERATOR(pg_catalog.=) k.relation
        INNER JOIN entasis.floors AS f ON f.relation OPERATOR(pg_catalog.=) %s
        WHERE (k.relation OPERATOR(pg_catalog.=) %s OR k.derived_from OPERATOR(pg_catalog.=) %s)
            AND a.from_time OPERATOR(pg_catalog.<) least(%s, f.floor)
            AND a.to_time OPERATOR(pg_catalog.>) %s
            AND a.superseded_at IS NULL AND a.dropped_at IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM entasis.restores AS r
                WHERE r.relation OPERATOR(pg_catalog.=) a.relation
                    AND r.from_time OPERATOR(pg_catalog.=) a.from_time
                    AND r.to_time OPERATOR(pg_catalog.=) a.to_time AND r.attached_at IS NOT NULL
            )
        ORDER BY k.derived_from IS NULL, a.relation, a.from_time
        """,
        relation,
        relation,
        relation,
        to_time,
        from_time,
    )
    if found and store is None:
        name, start, end = found[0]
        raise ArchiveError(
            f"{name} from {start} to {end} is in the archive, from which it is restored first: "
            "where is it? Name it with --from or in ENTASIS_ARCHIVE_URL"
        )
    if not found or store is None:
        return
    from entasis_db.archive import restore

    def tell(event: "Event") -> None:
        if event.final:
            progress(str(event))

    for name, start, end in found:
        how: dict[str, Any] = {"hold": hold, "progress": tell, "session_pooler": session_pooler}
        restore(connection, store, name, start, end, attach=True, **how)


def lost_candles(
    connection: psycopg.Connection[Any],
    from_time: datetime,
    to_time: datetime,
    *,
    symbol: str | None = None,
    exchange: str | None = None,
) -> list[LostCandles]:
    """Return by market which candles below the floor count trades that are not stored.

    They are what reopening with ``discard_candles`` throws away. Without a market, all are asked.
    ``connection`` belongs to a member of entasis_admin.
    """
    return [
        LostCandles(*row)
        for row in execute(
            connection,
            """
            SELECT c.symbol, c.exchange,
                pg_catalog.count(*) FILTER (WHERE c.relation OPERATOR(pg_catalog.=) 'ohlcv_1d'),
                pg_catalog.count(*)
            FROM entasis.floors AS f
            CROSS JOIN LATERAL entasis_internal.candle_faults(
                %s, %s, %s, least(%s, f.floor)
            ) AS c
            WHERE f.relation OPERATOR(pg_catalog.=) 'market_data'
                AND f.floor OPERATOR(pg_catalog.>) %s AND c.counted OPERATOR(pg_catalog.>) c.stored
            GROUP BY c.symbol, c.exchange
            ORDER BY c.exchange, c.symbol
            """,
            symbol,
            exchange,
            from_time,
            to_time,
            from_time,
        )
    ]


def reopen(
    connection: psycopg.Connection[Any],
    relation: str,
    from_time: datetime,
    to_time: datetime,
    *,
    symbol: str | None = None,
    exchange: str | None = None,
    keep_for: timedelta = KEEP_FOR,
    discard_candles: bool = False,
    store: "Store | None" = None,
    progress: Progress = lambda _: None,
    session_pooler: bool = False,
) -> None:
    """Open the UTC days [from_time, to_time) of a relation below its floor for writers.

    ``relation`` is market_data or option_data. ``symbol`` and ``exchange`` name a market, of
    option_data ``symbol`` alone the underlying; without them, all markets are opened. What was
    archived is restored from ``store`` first. Maintenance leaves the range there for ``keep_for``;
    then it goes again, once it is archived again. ``session_pooler`` is as for
    :func:`entasis_db.archive.restore`, which alone needs a session of its own.

    ``connection`` is in autocommit mode and belongs to a member of entasis_admin. Killed at any
    moment, it may be repeated. Raises ArchiveError when something cannot be restored, and
    psycopg's ObjectNotInPrerequisiteState when candles there count trades that are not stored,
    unless ``discard_candles``, which throws those away.
    """
    if not connection.autocommit:
        raise ValueError("reopen over a connection in autocommit mode: it commits as it goes")
    restore_archived(
        connection,
        relation,
        from_time,
        to_time,
        store=store,
        hold=max(keep_for, timedelta(days=1)),
        progress=progress,
        session_pooler=session_pooler,
    )
    execute(
        connection,
        "CALL entasis.reopen(%s, %s, %s, %s, %s, %s, %s)",
        *(relation, from_time, to_time, symbol, exchange, keep_for, discard_candles),
    )
