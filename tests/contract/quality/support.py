"""Markets of every sort, and what is found in them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from entasis_db import quality
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import with_months
from tests.db import Connection
from tests.make import NOON, D, insert_trades, trade

SECOND, HOUR, DAY = (timedelta(seconds=n) for n in (1, 3600, 86400))
STEP = 2 * SECOND

Found = set[tuple[str, datetime, int]]


def steady(count: int) -> list[Decimal]:
    return [D(100)] * count


def walk(count: int) -> list[Decimal]:
    """A lively market: some hundredths of a percent to and fro, the same for every run."""
    return [D(60000) + (n * 7919 % 61) + n // 3 for n in range(count)]


def spread(count: int) -> list[Decimal]:
    """The difference of two contracts, around zero."""
    return [D(n * 7919 % 11 - 6) / 10 for n in range(count)]


def made(prices: Sequence[Decimal], **changes: Any) -> list[Trade]:
    return [
        trade(n, timestamp=NOON + n * STEP, price=price, **changes)
        for n, price in enumerate(prices, 1)
    ]


def store(connection: Connection, rows: Sequence[Trade], id_space: str = "trade") -> None:
    """Store trades that came live, a tenth of a second after they were made."""
    with_months(connection)
    for symbol, exchange in sorted({(row.symbol, row.exchange) for row in rows}):
        connection.execute(
            "SELECT entasis.record_id_space(%s, %s, %s, 'test')", [symbol, exchange, id_space]
        )
    insert_trades(connection, *rows)
    connection.execute(
        "UPDATE entasis.market_data SET created_at ="
        " (timestamp AT TIME ZONE 'UTC' + interval '0.1 second') AT TIME ZONE 'UTC'"
        " WHERE created_at - timestamp > interval '1 hour'"
    )
    oracle.refresh(connection)


def found(connection: Connection, *kinds: str, state: Any = "new") -> Found:
    """What is listed of trades, each once."""
    rows = [
        one
        for one in quality.anomalies(state).fetch(connection)
        if one.relation == "market_data" and one.kind != "refused"
    ]
    told = [(one.kind, one.begins_at, one.row_key["id"]) for one in rows]
    assert len(told) == len(set(told))
    return {one for one in told if not kinds or one[0] in kinds}


def of(kind: str, *rows: Trade) -> Found:
    return {(kind, row.timestamp, row.id) for row in rows}
