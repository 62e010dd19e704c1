"""How what a call of each named query costs grows with the months that there are partitions of."""

from collections.abc import Iterator, Mapping, Sequence
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
    "Planning and execution time by EXPLAIN (ANALYZE), because functions plan when they are run;"
    " tables with one trade, a range of a day. In one session each, and for what has no range also"
    " as the first statement of a session. Alternated, the first rounds are dropped. Below 1 + 0.1"
    " for each month is the target."
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
_MARKET = ("BTCUSDT", "binance-spot")
_TRADE = """
    INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)
    VALUES (%s, %s, now(), 1, 1, 1)
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
            connection.execute(_TRADE, _MARKET)
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
            yield _growth(label, plans)
        for label, statement in _without_range().items():
            label = f"{label}, first of a session"
            bench.progress(f"planning {label}")
            plans = alternate(
                {
                    "with": _planned_first(bench, many, statement),
                    "without": _planned_first(bench, few, statement),
                },
                bench.effort.short_rounds,
                warm_up=1,
            )
            yield _growth(label, plans)


def _growth(label: str, plans: Mapping[str, Sequence[Mapping[str, Any]]]) -> Row:
    seconds = server_seconds(plans, "Planning Time", "Execution Time")
    return ratio(label, seconds, "with", "without", _TARGET)


def _planned(connection: Connection, statement: Statement[Any]) -> Any:
    def arm() -> Mapping[str, Any]:
        return explain(connection, statement.sql, statement.params)

    return arm


def _planned_first(bench: Bench, database: str, statement: Statement[Any]) -> Any:
    def arm() -> Mapping[str, Any]:
        with bench.server.connect(database) as connection:
            return explain(connection, statement.sql, statement.params)

    return arm


def _without_range() -> dict[str, Statement[Any]]:
    return {
        "latest_price": queries.latest_price(*_MARKET),
        "latest_prices": queries.latest_prices(),
    }


def _statements() -> dict[str, Statement[Any]]:
    user = UUID(int=1)
    return {
        "trades": queries.trades(*_MARKET, _FROM, _TO),
        "candles of minutes": queries.candles(*_MARKET, "1m", _FROM, _TO),
        "candles of four hours": queries.candles(*_MARKET, "4h", _FROM, _TO),
        **_without_range(),
        "markets": queries.markets(),
        "option_chain": queries.option_chain("BTC", _TO),
        "option_expiries": queries.option_expiries("BTC", _TO),
        "iv_smile": queries.iv_smile("BTC", _TO + timedelta(days=7), _TO),
        "models": queries.models(),
        "predictions": queries.predictions("model", "BTCUSDT", _FROM, _TO),
        "prediction_scores": queries.prediction_scores("model", *_MARKET, _FROM, _TO),
        "portfolio": queries.portfolio(user),
        "pnl_history": queries.pnl_history(user, _FROM, _TO),
    }
