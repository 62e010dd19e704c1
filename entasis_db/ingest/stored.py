"""Reading what is stored of a batch, to compare it with the batch's own text."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import sql
from psycopg.abc import PQGen

from entasis_db.cursors import gather
from entasis_db.ingest.batch import DoubtfulRowError
from entasis_db.ingest.copy_text import utf8
from entasis_db.ingest.id_spaces import Market, MarketBatch
from entasis_db.ingest.limits import is_name
from entasis_db.search_path import untyped

# The trades of each market between the batch's first and last, in the order of the markets as they
# are given: one more than the batch has are enough to tell the two apart. Nothing is sent where a
# market's first or last moment has no trade, or where the floor forbids some. The bounds of all
# let the planner leave out partitions; exchange || '' keeps it from the index of the exchange,
# which has the trades of all its markets.
STORED_TRADES = sql.SQL(
    """
    COPY (
        SELECT d.id, m.symbol, m.exchange,
            pg_catalog.timezone('UTC', d.timestamp) OPERATOR(pg_catalog.||) '+00',
            d.price, d.volume, d.side, d.source_id, d.excluded
        FROM ROWS FROM (
            pg_catalog.unnest(%(symbols)s::pg_catalog.text[]),
            pg_catalog.unnest(%(exchanges)s::pg_catalog.text[]),
            pg_catalog.unnest(%(first_times)s::pg_catalog.timestamptz[]),
            pg_catalog.unnest(%(last_times)s::pg_catalog.timestamptz[]),
            pg_catalog.unnest(%(first_ids)s::bigint[]),
            pg_catalog.unnest(%(last_ids)s::bigint[]),
            pg_catalog.unnest(%(trades)s::bigint[])
        ) AS m (symbol, exchange, first_time, last_time, first_id, last_id, trades)
        CROSS JOIN LATERAL (
            SELECT t.id, t.timestamp, t.price, t.volume, t.side, t.source_id, t.excluded
            FROM entasis.market_data AS t
            WHERE t.symbol OPERATOR(pg_catalog.=) m.symbol
                AND t.exchange OPERATOR(pg_catalog.||) '' OPERATOR(pg_catalog.=) m.exchange
                AND t.timestamp OPERATOR(pg_catalog.>=) m.first_time
                AND t.timestamp OPERATOR(pg_catalog.<=) m.last_time
                AND t.timestamp OPERATOR(pg_catalog.>=) %(begin)s::pg_catalog.timestamptz
                AND t.timestamp OPERATOR(pg_catalog.<=) %(end)s::pg_catalog.timestamptz
                -- the batches before and after may have trades of the same moments
                AND (
                    t.timestamp OPERATOR(pg_catalog.>) m.first_time
                    OR t.id OPERATOR(pg_catalog.>=) m.first_id
                )
                AND (
                    t.timestamp OPERATOR(pg_catalog.<) m.last_time
                    OR t.id OPERATOR(pg_catalog.<=) m.last_id
                )
            ORDER BY t.symbol, t.timestamp, t.exchange, t.id
            LIMIT m.trades OPERATOR(pg_catalog.+) 1
        ) AS d
        WHERE NOT EXISTS (
            SELECT
            FROM ROWS FROM (
                pg_catalog.unnest(%(symbols)s::pg_catalog.text[]),
                pg_catalog.unnest(%(exchanges)s::pg_catalog.text[]),
                pg_catalog.unnest(%(first_times)s::pg_catalog.timestamptz[]),
                pg_catalog.unnest(%(last_times)s::pg_catalog.timestamptz[])
            ) AS e (symbol, exchange, first_time, last_time)
            CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[e.first_time, e.last_time]) AS moment
            CROSS JOIN LATERAL (
                SELECT pg_catalog.count(*) AS trades FROM (
                    SELECT FROM entasis.market_data AS t
                    WHERE t.symbol OPERATOR(pg_catalog.=) e.symbol
                        AND t.exchange OPERATOR(pg_catalog.||) '' OPERATOR(pg_catalog.=) e.exchange
                        AND t.timestamp OPERATOR(pg_catalog.=) moment
                        AND t.timestamp OPERATOR(pg_catalog.>=) %(begin)s::pg_catalog.timestamptz
                        AND t.timestamp OPERATOR(pg_catalog.<=) %(end)s::pg_catalog.timestamptz
                    LIMIT 1
                ) AS first
            ) AS found
            WHERE found.trades OPERATOR(pg_catalog.=) 0
        )
        AND NOT EXISTS (
            SELECT FROM entasis.floors AS f
            WHERE f.relation OPERATOR(pg_catalog.=) 'market_data'
                AND f.floor OPERATOR(pg_catalog.>) %(begin)s::pg_catalog.timestamptz
        )
    ) TO STDOUT (ENCODING 'UTF8')
    """
)


def stored_trades_parameters(
    markets: Mapping[Market, MarketBatch], parameters: Mapping[str, object]
) -> dict[str, object] | None:
    """Add to those of RECORD_MARKETS what STORED_TRADES needs; None if SQL must judge some."""
    if not all(
        batch.trades and is_name(symbol) and is_name(exchange)
        for (symbol, exchange), batch in markets.items()
    ):
        return None
    batches = [batch for _, batch in sorted(markets.items())]
    found = {
        **parameters,
        "trades": [batch.trades for batch in batches],
        "begin": min(batch.first_time for batch in batches if batch.first_time is not None),
        "end": max(batch.last_time for batch in batches if batch.last_time is not None),
    }
    return {name: untyped(value) for name, value in found.items()}


def is_what_comes(copy: Any, text: Iterable[str | memoryview]) -> PQGen[bool]:
    """Say whether what a COPY sends is this text, as a generator that psycopg waits for.

    What comes is read to its end in any case.
    """
    came = bytearray()
    same = True
    try:
        for piece in text:
            wanted = utf8(piece)
            yield from gather(copy, len(wanted), came)
            if not came.startswith(wanted):
                same = False
                break
            del came[: len(wanted)]
    except DoubtfulRowError:
        same = False
    same = same and not came
    while (yield from copy._read_gen()):
        same = False
    return same
