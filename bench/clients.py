"""Ways of other clients to load trades into the source document's layout, timed as our own."""

import asyncio
from collections.abc import Iterable, Sequence
from operator import attrgetter
from time import perf_counter
from typing import Any

import asyncpg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from bench import data
from bench.loaders import DOCUMENT_MARKET_DATA, Connection
from entasis_db.model import TRADE_KEY, Trade

Rows = Sequence[tuple[Any, ...]]
_COLUMNS = data.DOCUMENT_COLUMNS.split(", ")
_TYPES = ("int8", "varchar", "varchar", "timestamptz", "numeric", "numeric")
_KEY = attrgetter(*TRADE_KEY)
_of_trade = attrgetter(*_COLUMNS)


def rows(batch: Iterable[Trade]) -> Rows:
    """Return a batch as the layout's rows, in the order of the key: as a client has them."""
    return [_of_trade(trade) for trade in sorted(batch, key=_KEY)]


def by_psycopg(connection: Connection, batches: Iterable[Rows], *, binary: bool) -> float:
    """Return the seconds of psycopg's COPY row by row, one transaction a batch."""
    copy_in = sql.SQL("COPY {} ({}) FROM STDIN" + (" (FORMAT BINARY)" if binary else "")).format(
        DOCUMENT_MARKET_DATA, sql.SQL(data.DOCUMENT_COLUMNS)
    )
    began = perf_counter()
    for batch in batches:
        with connection.transaction(), connection.cursor() as cursor, cursor.copy(copy_in) as copy:
            if binary:
                copy.set_types(_TYPES)
            for row in batch:
                copy.write_row(row)
    return perf_counter() - began


def by_asyncpg(dsn: str, batches: Iterable[Rows]) -> float:
    """Return the seconds of asyncpg's copy_records_to_table(), one transaction a batch."""
    return asyncio.run(_by_asyncpg(dsn, batches))


async def _by_asyncpg(dsn: str, batches: Iterable[Rows]) -> float:
    known = conninfo_to_dict(dsn)
    connection = await asyncpg.connect(
        host=known.get("host"),
        port=known.get("port"),
        user=known.get("user"),
        password=known.get("password"),
        database=known.get("dbname"),
    )
    try:
        began = perf_counter()
        for batch in batches:
            async with connection.transaction():
                await connection.copy_records_to_table(
                    "market_data", schema_name="public", columns=_COLUMNS, records=batch
                )
        return perf_counter() - began
    finally:
        await connection.close()
