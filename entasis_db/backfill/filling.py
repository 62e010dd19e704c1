"""Loading the public files that lie in a folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psycopg

from entasis_db.backfill.planning import Needed, Plan, plan
from entasis_db.backfill.spans import Span
from entasis_db.cursors import Cursor
from entasis_db.errors import EntasisError
from entasis_db.exchange_candles import CandleReport, load_exchange_candles
from entasis_db.ingest import MAX_REFUSED, Loaded, load_trades
from entasis_db.model import CandleInterval
from entasis_db.quality import Gap

_BINANCE = frozenset({"binance-spot", "binance-usdm", "binance-cm"})


@dataclass(frozen=True)
class Filled:
    """What became of a public file."""

    file: Needed
    """Which."""
    inserted: int = 0
    """Rows that were stored."""
    already_there: int = 0
    """Rows that were stored before."""
    quarantined: int = 0
    """Rows in entasis.quarantine."""
    past_retention: int = 0
    """Rows that lie below the floor."""
    error: str | None = None
    """Why it could not be loaded, or not to its end."""


def plan_backfill(
    connection: psycopg.Connection[Any],
    spans: Sequence[Span],
    folder: Path | str | None = None,
    *,
    candles: CandleInterval | None = None,
    aggregated: bool = False,
    now: datetime | None = None,
) -> Plan:
    """Name the public files that hold what is missing, and find those that lie in a folder.

    A market takes the trades that are numbered as those it has; one that is new takes trades, or
    aggregated ones with ``aggregated``. ``candles`` asks for the exchange's candles of that
    interval instead. Loads and changes nothing. Raises LoadError for what is no folder.
    """
    markets = sorted({(span.symbol, span.exchange) for span in spans})
    with Cursor(connection) as cursor:
        cursor.execute(
            "SELECT m.symbol, m.exchange, m.id_space FROM entasis.markets AS m"
            " INNER JOIN ROWS FROM (pg_catalog.unnest(%s::pg_catalog.text[]),"
            " pg_catalog.unnest(%s::pg_catalog.text[])) AS a (symbol, exchange)"
            " ON m.symbol OPERATOR(pg_catalog.=) a.symbol"
            " AND m.exchange OPERATOR(pg_catalog.=) a.exchange WHERE m.id_space IS NOT NULL",
            [[symbol for symbol, _ in markets], [exchange for _, exchange in markets]],
        )
        id_spaces = {(symbol, exchange): space for symbol, exchange, space in cursor}
    return plan(
        spans,
        folder,
        now=now or datetime.now(UTC),
        kind="candles" if candles else "aggtrades" if aggregated else "trades",
        interval=candles,
        id_spaces=id_spaces,
    )


def load_needed(
    connection: psycopg.Connection[Any],
    file: Needed,
    *,
    progress: Callable[[Loaded | CandleReport], None] = lambda _: None,
    max_refused: int | None = MAX_REFUSED,
) -> Filled:
    """Load a public file that lies in a folder; ``connection`` is in autocommit mode.

    What is stored already changes nothing. What is wrong with the file is in the answer.
    """
    assert file.path is not None
    exchange = file.exchange if file.exchange in _BINANCE else None
    try:
        if file.kind == "candles":
            candles = load_exchange_candles(
                connection,
                file.path,
                exchange=exchange,
                progress=progress,
                max_refused=max_refused,
            )
            return Filled(file, candles.inserted, candles.already_there, candles.quarantined)
        report = load_trades(
            connection, file.path, exchange=exchange, progress=progress, max_refused=max_refused
        ).report
    except EntasisError as error:
        return Filled(file, error=str(error))
    return Filled(
        file, report.inserted, report.already_there, report.quarantined, report.past_retention
    )


def backfill(
    connection: psycopg.Connection[Any],
    spans: Sequence[Span],
    folder: Path | str,
    *,
    candles: CandleInterval | None = None,
    aggregated: bool = False,
    now: datetime | None = None,
) -> tuple[Plan, list[Filled]]:
    """Load the public files of a folder that hold what is missing; say which, and which are not.

    The arguments are those of plan_backfill, ``connection`` is in autocommit mode. What remains
    missing, quality.gaps tells.
    """
    found = plan_backfill(
        connection, spans, folder, candles=candles, aggregated=aggregated, now=now
    )
    return found, [load_needed(connection, file) for file in found.there]


@dataclass(frozen=True)
class Outcome:
    """What became of something that was missing: of a file, of a range without one, of a gap."""

    state: Literal["there", "loaded", "failed", "missing", "no_file", "gap", "silent"]
    """Of a file: it lies in the folder and would be loaded; it was; it could not be, or not to its
    end; it lies not there. ``no_file``: no public file has it. ``gap``: it is missing still.
    ``silent``: nobody traded, say files that hold all of it."""
    symbol: str
    """Instrument."""
    exchange: str
    """Venue."""
    begin: datetime
    """The first moment of the file, of what is missing, or the trade before it; UTC."""
    end: datetime | None
    """The end of the file, which is not included; the last moment of what is missing, or the trade
    after it; UTC. None: it goes on."""
    kind: str
    """Of a file ``trades``, ``aggtrades`` or ``candles``; of a gap ``ids`` or ``silence``."""
    interval: str | None = None
    """How long a file's candles are. None: it has trades."""
    url: str | None = None
    """Where the file is published. None: it is no file."""
    path: str | None = None
    """Where the file lies. None: it is missing, or no file."""
    inserted: int | None = None
    """Rows that were stored. None: nothing was loaded."""
    already_there: int | None = None
    """Rows that were stored before. None: nothing was loaded."""
    quarantined: int | None = None
    """Rows in entasis.quarantine. None: nothing was loaded."""
    past_retention: int | None = None
    """Rows that lie below the floor. None: nothing was loaded."""
    first_id: int | None = None
    """The first id that is missing. None: ids do not tell."""
    last_id: int | None = None
    """The last id that is missing. None: ids do not tell."""
    reason: str | None = None
    """Why a file could not be loaded, or why there is none. None: neither is so."""


def outcomes(
    found: Plan, filled: Sequence[Filled], gaps: Sequence[Gap], until: datetime
) -> list[Outcome]:
    """Tell what became of a plan; ``gaps`` are those that are left, ``until`` is the end of all.

    Files that were not loaded are ``there`` or ``missing``.
    """
    done = {one.file: one for one in filled}
    told = []
    for file in found.files:
        one = done.get(file)
        of = (file.symbol, file.exchange, file.begin, file.end, file.kind, file.interval, file.url)
        if one is None:
            state: Any = "missing" if file.path is None else "there"
            told.append(Outcome(state, *of, None if file.path is None else str(file.path)))
            continue
        counts = (one.inserted, one.already_there, one.quarantined, one.past_retention)
        state = "loaded" if one.error is None else "failed"
        told.append(Outcome(state, *of, str(file.path), *counts, reason=one.error))
    for lacking in found.unfillable:
        of_range = (lacking.symbol, lacking.exchange, lacking.begin, lacking.end)
        told.append(Outcome("no_file", *of_range, "trades", reason=lacking.reason))
    for gap in gaps:
        state = "silent" if is_answered(gap, filled, until) else "gap"
        of_gap = (gap.symbol, gap.exchange, gap.after_time, gap.before_time, gap.kind)
        told.append(Outcome(state, *of_gap, first_id=gap.first_id, last_id=gap.last_id))
    return told


def is_answered(gap: Gap, filled: Sequence[Filled], until: datetime) -> bool:
    """Tell whether a silence lies in files that were loaded to their ends: nobody traded then.

    ``until`` is where a silence ends that goes on.
    """
    if gap.kind != "silence":
        return False
    at, end = gap.after_time, gap.before_time or until
    ranges = sorted(
        (one.file.begin, one.file.end)
        for one in filled
        if one.error is None and (one.file.symbol, one.file.exchange) == (gap.symbol, gap.exchange)
    )
    for begin, until_there in ranges:
        if begin <= at < until_there:
            at = until_there
    return at >= end
