"""Plans of compressed chunks: only those of the range, only the market's segments."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from entasis_db import queries
from tests import oracle
from tests.engines import Server, pause_jobs
from tests.plans import explain, explain_candles

pytestmark = pytest.mark.hypertables

FIRST = datetime(2024, 1, 4, tzinfo=UTC)  # a Thursday, on which chunks begin
WEEKS = 8


@pytest.fixture(scope="module")
def compressed(server: Server) -> Iterator[psycopg.Connection[Any]]:
    """Eight weeks of sixty markets and of options, all in the columnstore."""
    with server.database() as database, database.connect() as connection:
        pause_jobs(connection)
        connection.execute(
            """
            INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
            SELECT 'S' || m, 'x', t, 1, m, 1
            FROM generate_series(1, 60) AS m, generate_series(
                %(from)s, %(from)s + interval '56 days' - interval '1 hour', interval '3 hours'
            ) AS t
            """,
            {"from": FIRST},
        )
        connection.execute(
            """
            INSERT INTO entasis.option_data
            (underlying, strike_price, expiry_date, option_type, timestamp, id, iv)
            SELECT u, k, '2024-06-28 08:00Z', 'call', t, 1, 0.5
            FROM unnest(ARRAY['BTC', 'ETH']) AS u, generate_series(1, 50) AS k, generate_series(
                %(from)s, %(from)s + interval '56 days' - interval '1 hour', interval '6 hours'
            ) AS t
            """,
            {"from": FIRST},
        )
        oracle.refresh(connection)
        connection.execute(
            "SELECT public.compress_chunk(p.partition_oid::regclass) FROM (VALUES"
            " ('market_data'), ('option_data'), ('ohlcv_1m')) AS w (relation),"
            " entasis_internal.partitions_of(w.relation) AS p"
        )
        # on one page, a market would be looked for in all of it
        connection.execute(
            "INSERT INTO entasis.markets (symbol, exchange, source)"
            " SELECT 'T' || m, 'x', 'test' FROM generate_series(1, 1000) AS m"
        )
        connection.execute("VACUUM ANALYZE")
        yield connection


def chunks(
    connection: psycopg.Connection[Any], relation: str, first: datetime, last: datetime
) -> set[str]:
    return {
        name
        for (name,) in connection.execute(
            "SELECT partition_name FROM entasis.partitions"
            " WHERE relation = %s AND from_time < %s AND to_time > %s",
            [relation, last, first],
        )
    }


def columns_of(connection: psycopg.Connection[Any], names: set[str]) -> set[str]:
    """Name the tables that hold the compressed columns of chunks."""
    return {
        name
        for (name,) in connection.execute(
            "SELECT c.relname FROM _timescaledb_catalog.compression_settings AS s"
            " INNER JOIN pg_class AS c ON s.compress_relid = c.oid"
            " INNER JOIN pg_class AS k ON s.relid = k.oid WHERE k.relname = ANY (%s)",
            [list(names)],
        )
    }


DAY = FIRST + timedelta(days=16), FIRST + timedelta(days=17)


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_trades_of_a_day_read_one_chunk_and_one_market(
    compressed: psycopg.Connection[Any], mode: Any
) -> None:
    plan = explain(compressed, queries.trades("S7", "x", *DAY), mode)
    held = chunks(compressed, "market_data", *DAY)
    assert len(held) == 1
    assert plan.relations() == held | columns_of(compressed, held)
    # the segment is found by an index, and its one batch holds the market's week
    assert plan.seq_scans() == set()
    assert sum(n.read for n in plan.nodes if n.relation in held) <= 7 * 24


@pytest.mark.parametrize("mode", ["custom", "generic"])
def test_minutes_of_a_day_read_one_chunk_and_one_market(
    compressed: psycopg.Connection[Any], mode: Any
) -> None:
    plan = explain_candles(compressed, queries.candles("S7", "x", "1m", *DAY), mode)
    held = chunks(compressed, "ohlcv_1m", *DAY)
    # a real-time aggregate looks beyond its watermark too
    last = chunks(compressed, "market_data", FIRST + timedelta(days=55), DAY[1] + timedelta(300))
    last |= chunks(compressed, "market_data", *DAY)
    open_end = last | columns_of(compressed, last)
    # before 2.24, the trades of the range are looked at too, and none is above the watermark
    read = {n.relation for n in plan.nodes if n.relation is not None and n.read}
    assert read - open_end == held | columns_of(compressed, held)
    assert sum(n.read for n in plan.nodes if n.relation in held) <= 30 * 24


def test_a_chain_reads_the_chunks_of_its_month(compressed: psycopg.Connection[Any]) -> None:
    at = FIRST + timedelta(days=40)  # 13 February
    plan = explain(compressed, queries.option_chain("BTC", at))
    held = chunks(
        compressed,
        "option_data",
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(2024, 3, 1, tzinfo=UTC),
    )
    assert plan.relations() <= held | columns_of(compressed, held)
