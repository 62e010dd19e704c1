"""The source document's materialized view, against candles that are kept."""

from collections.abc import Callable, Iterator
from functools import partial

from bench.context import Bench
from bench.line import Sizes, Subject
from bench.measure import Row, alternate, ratio, timed
from bench.upkeep import put_batch, trigger_seconds

TITLE = "One REFRESH of the document's materialized view, in upkeeps of a batch of 10,000 trades"
HOW = (
    "REFRESH MATERIALIZED VIEW of its hourly candles by the client's clock, over the insert"
    " trigger's time for one batch right after the stored ones (minutes, hours and days), as in"
    " `upkeep`. Alternated; the first round is dropped."
)
SUBJECT = Subject.CANDLES
SIZES = Sizes.EACH

# As in the source document, but with an order for its first() and last(), which are not
# PostgreSQL's; of the ways to state it, the fastest.
_MATERIALIZED_VIEW = """
    CREATE MATERIALIZED VIEW public.mv_ohlcv_1h AS
    SELECT
        symbol,
        date_trunc('hour', timestamp) AS timeframe,
        (min(ARRAY[extract(EPOCH FROM timestamp), id, price]))[3] AS open,
        max(price) AS high,
        min(price) AS low,
        (max(ARRAY[extract(EPOCH FROM timestamp), id, price]))[3] AS close,
        sum(volume) AS volume
    FROM entasis.market_data
    GROUP BY symbol, timeframe
"""


def run(bench: Bench) -> Iterator[Row]:
    """Refresh the view over all trades, and keep the candles of one batch."""
    with (
        bench.database(bench.loaded, "refreshed") as name,
        bench.server.connect(name) as connection,
    ):
        bench.progress(f"refreshing a materialized view of {bench.size:,} trades")
        put_batch(connection, bench.next_batch())
        connection.execute(_MATERIALIZED_VIEW)
        bench.server.checkpoint()
        arms: dict[str, Callable[[], float]] = {
            "refresh": lambda: timed(
                lambda: connection.execute("REFRESH MATERIALIZED VIEW public.mv_ohlcv_1h")
            ),
            "upkeep": partial(trigger_seconds, connection),
        }
        samples = alternate(arms, bench.effort.rounds, warm_up=1)
    yield ratio(f"over {bench.size:,} trades", samples, "refresh", "upkeep")
