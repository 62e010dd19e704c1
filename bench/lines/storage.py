"""What a trade weighs."""

from collections.abc import Iterator

from bench.context import LARGE_SIZE, Bench
from bench.line import Sizes, Subject
from bench.loaders import THIN_TRADES, Connection
from bench.measure import Row, Target, only_row

TITLE = "Storage of a trade: bytes of the table, its indexes and its candles"
HOW = (
    "Size of the partitions over the number of trades, loaded in batches of 100,000 and vacuumed."
    " Candles: minutes, hours and days with their keys. How much they take, and what their upkeep"
    " costs, depends on how many trades a minute has. Rebuilt: after VACUUM (FULL), as"
    " a closed month could be."
)
SUBJECT = Subject.RETENTION
SIZES = Sizes.EACH

_SIZES = """
    SELECT sum(pg_table_size(relid)), sum(pg_indexes_size(relid))
    FROM unnest(%s::regclass[]) AS parent
    CROSS JOIN LATERAL pg_partition_tree(parent)
    WHERE isleaf
"""


def run(bench: Bench) -> Iterator[Row]:
    """Weigh the trades and what is kept beside them, as loaded and rebuilt."""
    what = f"of {bench.size:,} trades"
    with bench.server.connect(bench.loaded) as connection:
        bench.progress("weighing a trade")
        table, indexes, candles = _parts(bench, connection)
        (minutes,) = only_row(connection, "SELECT count(*) FROM entasis.ohlcv_1m")
    yield Row(f"{what}: table", table, unit="bytes")
    yield Row(f"{what}: indexes", indexes, unit="bytes")
    yield Row(f"{what}: candles", candles, unit="bytes")
    goal = Target("<=", 300, THIN_TRADES)
    yield Row(f"{what}: all of these", table + indexes + candles, unit="bytes", target=goal)
    yield Row(f"{what}: trades in a 1-minute candle", bench.size / minutes, unit="rows")
    if bench.size <= LARGE_SIZE:
        with (
            bench.database(bench.loaded, "rebuilt") as name,
            bench.server.connect(name) as connection,
        ):
            bench.progress("rebuilding tables and indexes")
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("VACUUM (FULL)")
            rebuilt = sum(_parts(bench, connection))
        goal = Target("<=", 240, THIN_TRADES)
        yield Row(f"{what}: all of these, rebuilt", rebuilt, unit="bytes", target=goal)


def _parts(bench: Bench, connection: Connection) -> tuple[float, float, float]:
    """Return the bytes of a trade: table, indexes, and candles with their keys."""
    table, indexes = _bytes(connection, "entasis.market_data")
    candles = sum(_bytes(connection, *(f"entasis.ohlcv_{n}" for n in ("1m", "1h", "1d"))))
    return table / bench.size, indexes / bench.size, candles / bench.size


def _bytes(connection: Connection, *relations: str) -> tuple[float, float]:
    """Return what tables and what indexes take."""
    table, indexes = only_row(connection, _SIZES, list(relations))
    return float(table), float(indexes)
