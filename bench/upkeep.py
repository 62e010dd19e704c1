"""What the insert trigger takes for one batch, measured so that it can be repeated."""

from collections.abc import Sequence

from psycopg import sql

from bench import data
from bench.loaders import Connection
from bench.measure import MeasurementError, explain
from entasis_db.model import Trade

_INSERT_BATCH = f"""
    INSERT INTO entasis.market_data ({data.COLUMNS}, excluded)
    SELECT {data.COLUMNS}, excluded FROM pg_temp.batch ORDER BY symbol, exchange, timestamp, id
"""
_VACUUM_WRITTEN = """
    VACUUM (INDEX_CLEANUP ON)
    entasis.market_data, entasis.ohlcv_1m, entasis.ohlcv_1h, entasis.ohlcv_1d
"""


def put_batch(connection: Connection, batch: Sequence[Trade]) -> None:
    """Lay a batch ready in this session, for ``trigger_seconds``."""
    connection.execute("DROP TABLE IF EXISTS pg_temp.batch")
    connection.execute("CREATE TEMPORARY TABLE batch (LIKE entasis.market_data INCLUDING DEFAULTS)")
    statement = sql.SQL(f"COPY pg_temp.batch ({data.COLUMNS}) FROM STDIN")
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(data.payload(batch))
    connection.execute("ANALYZE pg_temp.batch")
    # as a loader does before: what is known of a new market's name is looked up once, not each time
    connection.execute(
        "SELECT entasis_internal.record_traded_market(b.symbol, b.exchange)"
        " FROM (SELECT DISTINCT symbol, exchange FROM pg_temp.batch) AS b"
    )


def trigger_seconds(connection: Connection, only: str | None = None) -> float:
    """Insert the batch, roll it back, and return the time of its triggers, or of that one."""
    # what was rolled back is still in the indexes, and would slow the next round down; more so,
    # relatively, over the empty table
    connection.execute(_VACUUM_WRITTEN)
    with connection.transaction(force_rollback=True):
        plan = explain(connection, _INSERT_BATCH, timing=True)
    fired = [one for one in plan["Triggers"] if only in (None, one["Trigger Name"])]
    if not fired:
        raise MeasurementError("no trigger fired")
    return float(sum(one["Time"] for one in fired)) / 1000
