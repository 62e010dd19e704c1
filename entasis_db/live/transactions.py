"""How a batch is written: in one transaction for each kind of row."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import psycopg

from entasis_db.cursors import Cursor
from entasis_db.ingest import (
    IdSpace,
    IngestReport,
    Refusal,
    TimeUnits,
    ingest_options,
    ingest_trades,
    quarantine,
)
from entasis_db.live.batching import Row
from entasis_db.live.jsonable import jsonable, storable
from entasis_db.live.unreadable import Unreadable
from entasis_db.model import OptionQuote, Trade


def transactions(
    batch: Sequence[Row],
    first_line: int,
    source: str,
    id_space: IdSpace,
    time_unit: TimeUnits | None,
) -> Iterator[Callable[[psycopg.Connection[Any]], IngestReport]]:
    """Yield what writes the trades, the quotes and the unreadable messages of a batch.

    Each is a transaction of its own, because two ingests in one could deadlock with another
    writer's two. Repeating one changes nothing.
    """
    numbered = list(enumerate(batch, first_line))
    trades = [(row, line) for line, row in numbered if isinstance(row, Trade)]
    quotes = [(row, line) for line, row in numbered if isinstance(row, OptionQuote)]
    unreadable = [(row, line) for line, row in numbered if isinstance(row, Unreadable)]
    if trades:
        rows, lines = zip(*trades, strict=True)
        yield partial(_ingest_trades, rows, lines, source, id_space, time_unit)
    if quotes:
        quoted, lines = zip(*quotes, strict=True)
        yield partial(_ingest_options, quoted, lines, source)
    if unreadable:
        yield partial(_quarantine, unreadable, source)


def last_refusal(connection: psycopg.Connection[Any], source: str) -> str:
    """Return why the last row of a source went to quarantine. Raises psycopg.Error."""
    with Cursor(connection) as cursor:
        row = cursor.execute(
            "SELECT q.line, q.code, q.reason FROM entasis.quarantine AS q"
            " WHERE q.source OPERATOR(pg_catalog.=) %s::pg_catalog.text ORDER BY q.id DESC LIMIT 1",
            [source],
        ).fetchone()
    return "it says why" if row is None else f"row {row[0]}: {row[1]}: {' '.join(row[2].split())}"


def _ingest_trades(
    rows: Sequence[Trade],
    lines: Sequence[int],
    source: str,
    id_space: IdSpace,
    time_unit: TimeUnits | None,
    connection: psycopg.Connection[Any],
) -> IngestReport:
    return ingest_trades(
        connection, rows, source=source, id_space=id_space, time_unit=time_unit, lines=lines
    )


def _ingest_options(
    rows: Sequence[OptionQuote],
    lines: Sequence[int],
    source: str,
    connection: psycopg.Connection[Any],
) -> IngestReport:
    return ingest_options(connection, rows, source=source, lines=lines)


def _quarantine(
    messages: Sequence[tuple[Unreadable, int]], source: str, connection: psycopg.Connection[Any]
) -> IngestReport:
    with connection.transaction():
        for relation in ("market_data", "option_data"):
            refusals = [
                Refusal(line, message.code, storable(message.reason), jsonable(message.payload))
                for message, line in messages
                if message.relation == relation
            ]
            quarantine(connection, relation, refusals, source=source)
    return IngestReport(quarantined=len(messages))
