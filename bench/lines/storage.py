"""What a trade weighs."""

from collections.abc import Iterator

from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import THIN_TRADES, Connection
from bench.measure import Row, Target, only_row

TITLE = "Storage of a trade: bytes of the table, its indexes and its candles"
HOW = (
    "Size of the partitions over the number of trades, loaded in batches of 100,000 and vacuumed."
    " Candles: minutes, hours and days with their keys. How much they take, and what their upkeep"
    " costs, hangs on how many trades a minute has."
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
    """Weigh the trades and what is kept beside them."""
    with bench.server.connect(bench.loaded) as connection:
        bench.progress("weighing a trade")
        table, indexes = _bytes(connection, "entasis.market_data")
        candles = sum(_bytes(connection, *(f"entasis.ohlcv_{n}" for n in ("1m", "1h", "1d"))))
        (minutes,) = only_row(connection, "SELECT count(*) FROM entasis.ohlcv_1m")
    what = f"of {bench.size:,} trades"
    yield Row(f"{what}: table", table / bench.size, unit="bytes")
    yield Row(f"{what}: indexes", indexes / bench.size, unit="bytes")
    yield Row(f"{what}: candles", candles / bench.size, unit="bytes")
    whole = (table + indexes + candles) / bench.size
    yield Row(f"{what}: all of these", whole, unit="bytes", target=Target("<=", 300, THIN_TRADES))
    yield Row(f"{what}: trades in a 1-minute candle", bench.size / minutes, unit="rows")


def _bytes(connection: Connection, *relations: str) -> tuple[float, float]:
    """Return what tables and what indexes take."""
    table, indexes = only_row(connection, _SIZES, list(relations))
    return float(table), float(indexes)
