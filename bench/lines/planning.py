"""How the planning of each named query grows with the months that there are partitions of."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import Connection
from bench.measure import Row, Target, alternate, explain, ratio, server_seconds
from entasis_db import queries
from entasis_db.queries import Statement

MORE = 24
TITLE = f"Planning of each named query with {MORE} more months of partitions, against without"
HOW = (
    "Planning time by EXPLAIN (ANALYZE) of empty tables, in one session each, a range of a day;"
    " alternated, the first rounds are dropped. Below 1 + 0.1 for each month is the target."
)
SUBJECT = Subject.READING
SIZES = Sizes.ONCE

_TARGET = Target("<=", 1 + 0.1 * MORE)
_TO = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
_FROM = _TO - timedelta(days=1)
_BEFORE = """
    SELECT entasis.ensure_partitions(
        k.relation, date_trunc('month', now(), 'UTC') - make_interval(months => %(months)s), now()
    )
    FROM entasis.keep_periods AS k
    WHERE k.relation IN ('market_data', 'option_data', 'ohlcv_1m', 'ohlcv_1h', 'ohlcv_1d')
"""


def run(bench: Bench) -> Iterator[Row]:
    """Plan each query in both databases."""
    migrated = bench.templates.migrated
    with (
        bench.database(migrated, "few") as few,
        bench.database(migrated, "many") as many,
        bench.server.connect(few) as without,
        bench.server.connect(many) as with_more,
    ):
        for connection, months in ((without, 0), (with_more, MORE)):
            connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
            connection.execute(_BEFORE, {"months": months})
        for label, statement in _statements().items():
            bench.progress(f"planning {label}")
            plans = alternate(
                {
                    "with": _planned(with_more, statement),
                    "without": _planned(without, statement),
                },
                bench.effort.short_rounds,
                warm_up=2,
            )
            yield ratio(label, server_seconds(plans, "Planning Time"), "with", "without", _TARGET)


def _planned(connection: Connection, statement: Statement[Any]) -> Any:
    def arm() -> Mapping[str, Any]:
        return explain(connection, statement.sql, statement.params)

    return arm


def _statements() -> dict[str, Statement[Any]]:
    user = UUID(int=1)
    market = ("BTCUSDT", "binance-spot")
    return {
        "trades": queries.trades(*market, _FROM, _TO),
        "candles of minutes": queries.candles(*market, "1m", _FROM, _TO),
        "candles of four hours": queries.candles(*market, "4h", _FROM, _TO),
        "latest_price": queries.latest_price(*market),
        "latest_prices": queries.latest_prices(),
        "markets": queries.markets(),
        "option_chain": queries.option_chain("BTC", _TO),
        "option_expiries": queries.option_expiries("BTC", _TO),
        "iv_smile": queries.iv_smile("BTC", _TO + timedelta(days=7), _TO),
        "models": queries.models(),
        "predictions": queries.predictions("model", "BTCUSDT", _FROM, _TO),
        "prediction_scores": queries.prediction_scores("model", *market, _FROM, _TO),
        "portfolio": queries.portfolio(user),
        "pnl_history": queries.pnl_history(user, _FROM, _TO),
    }
