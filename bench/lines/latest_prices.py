"""The newest trade of every market, by the named query and by the obvious one."""

from collections.abc import Iterator

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.measure import Row, alternate, check_same_rows, explain, ratio, server_seconds
from entasis_db import queries

TITLE = "Latest price of every market, how many times faster than SELECT DISTINCT ON"
HOW = (
    "Execution and planning time of queries.latest_prices() by EXPLAIN (ANALYZE), against DISTINCT"
    f" ON over all trades of {len(data.MARKETS)} markets. The answers are compared first;"
    " alternated, the first round is dropped."
)
SUBJECT = Subject.READING
SIZES = Sizes.EACH

_DISTINCT_ON = """
    SELECT DISTINCT ON (symbol, exchange) id, symbol, exchange, timestamp, price, volume, side,
        source_id, excluded
    FROM entasis.market_data
    WHERE excluded IS NULL
    ORDER BY symbol, exchange, timestamp DESC, id DESC
"""


def run(bench: Bench) -> Iterator[Row]:
    """Compare the two queries."""
    named = queries.latest_prices().sql
    with bench.server.connect(bench.loaded) as connection:
        bench.progress("latest prices")
        check_same_rows(connection, named, _DISTINCT_ON)
        plans = alternate(
            {
                "named query": lambda: explain(connection, named),
                "DISTINCT ON": lambda: explain(connection, _DISTINCT_ON),
            },
            bench.effort.short_rounds,
            warm_up=1,
        )
    yield ratio(
        f"over {bench.size:,} trades",
        server_seconds(plans, "Execution Time", "Planning Time"),
        "DISTINCT ON",
        "named query",
    )
