"""A day's minutes on the server, against its trades."""

from collections.abc import Iterator

from bench import data
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.measure import Row, Target, alternate, check_same_rows, explain, ratio, server_seconds

_ENOUGH_TRADES_A_DAY = 150_000

TITLE = "A day of 1-minute candles of one market, how many times faster than from its trades"
HOW = (
    "Execution time of entasis.candles(..., '1m', ...) by EXPLAIN (ANALYZE), against aggregating"
    " market_data by minute with the same rule of order. The answers are compared first;"
    " alternated, the first round is dropped. The target is for a day of"
    f" {_ENOUGH_TRADES_A_DAY:,} trades or more."
)
SUBJECT = Subject.CANDLES
SIZES = Sizes.EACH

_DAY_OF_CANDLES = """
    SELECT bucket, open, high, low, close, volume, quote_volume, trades
    FROM entasis.candles(%(symbol)s, %(exchange)s, '1m', %(day)s, %(day)s + interval '1 day')
    ORDER BY bucket
"""
# Of the ways to find the first price, this is the fastest that is known here.
_DAY_OF_TRADES = """
    SELECT bucket, opening[3], high, low, closing[3], volume, quote_volume, trades
    FROM (
        SELECT
            date_bin('1 minute', timestamp, '2000-01-01 00:00:00+00') AS bucket,
            min(ARRAY[extract(EPOCH FROM timestamp), id, price]) AS opening,
            max(price) AS high,
            min(price) AS low,
            max(ARRAY[extract(EPOCH FROM timestamp), id, price]) AS closing,
            sum(volume) AS volume,
            sum(price * volume) AS quote_volume,
            count(*) AS trades
        FROM entasis.market_data
        WHERE
            symbol = %(symbol)s AND exchange = %(exchange)s
            AND timestamp >= %(day)s AND timestamp < %(day)s + interval '1 day'
        GROUP BY 1
    ) AS minutes
    ORDER BY bucket
"""


def run(bench: Bench) -> Iterator[Row]:
    """Read the busy market's busy day both ways."""
    trades = data.busy_trades(bench.size + bench.batch)
    enough = trades >= _ENOUGH_TRADES_A_DAY
    params = {
        "symbol": data.BUSY_MARKET.symbol,
        "exchange": data.BUSY_MARKET.exchange,
        "day": data.BUSY_DAY,
    }
    with bench.server.connect(bench.loaded) as connection:
        bench.progress("a day of candles")
        check_same_rows(connection, _DAY_OF_CANDLES, _DAY_OF_TRADES, params)
        plans = alternate(
            {
                "candles": lambda: explain(connection, _DAY_OF_CANDLES, params),
                "trades": lambda: explain(connection, _DAY_OF_TRADES, params),
            },
            bench.effort.short_rounds,
            warm_up=1,
        )
    label = f"of {bench.size:,} trades, {trades:,} that day"
    yield ratio(
        label,
        server_seconds(plans, "Execution Time"),
        "trades",
        "candles",
        Target(">=", 100) if enough else None,
        "" if enough else "too few trades for the target",
    )
    yield ratio(
        f"{label}, planning included",
        server_seconds(plans, "Execution Time", "Planning Time"),
        "trades",
        "candles",
    )
