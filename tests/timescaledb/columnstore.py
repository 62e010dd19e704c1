"""Trades in compressed chunks."""

from tests import oracle
from tests.db import Connection, one


def compress(connection: Connection) -> None:
    """Compress all chunks of trades and quotes."""
    oracle.refresh(connection)
    connection.execute(
        "SELECT public.compress_chunk(c.partition_oid::regclass)"
        " FROM entasis_internal.chunks_to_compress('0') AS c"
    )


def unpacked(connection: Connection) -> int:
    """Count the trades that lie as rows in chunks."""
    chunks = connection.execute(
        "SELECT format('%I.%I', chunk_schema, chunk_name)"
        " FROM timescaledb_information.chunks WHERE hypertable_name = 'market_data'"
    ).fetchall()
    connection.execute("SET timescaledb.enable_transparent_decompression = off")
    found = sum(one(connection, f"SELECT count(*) FROM ONLY {name}") for (name,) in chunks)
    connection.execute("RESET timescaledb.enable_transparent_decompression")
    return int(found)
