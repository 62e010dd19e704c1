"""UPDATE recomputes the candles of what changed, and of nothing else: also in a MERGE.

After an INSERT action, the new table of a MERGE's UPDATE triggers holds the inserted row in place
of the updated one. So what is compared there may be another trade's.
"""

from datetime import timedelta

import pytest

from tests import oracle
from tests.db import Connection, ensure
from tests.make import MICROSECOND, NOON, insert_trades, trade

pytestmark = [pytest.mark.merge, pytest.mark.candle_tables]

DAY = timedelta(days=1)
FIRST = trade(1, timestamp=NOON)

ACTIONS = {
    # what becomes of the trades 1, 2 and 3, all of one minute, and of new ones
    "an insert first": [("insert", 9, NOON + DAY), ("change", 1, NOON)],
    "an insert between": [("change", 1, NOON), ("insert", 9, NOON + DAY), ("change", 2, NOON)],
    "another trade takes the key": [
        ("insert", 9, NOON + DAY),
        ("rename", 1, NOON),
        ("insert", 1, NOON),
        ("change", 2, NOON),
    ],
    "it takes the key, and nothing else changes": [
        ("rename", 1, NOON),
        ("insert", 1, NOON),
        ("side", 2, NOON),
        ("side", 3, NOON),
    ],
    "only sides beside inserts": [
        ("insert", 9, NOON + MICROSECOND),
        ("side", 1, NOON),
        ("insert", 8, NOON + DAY),
        ("side", 2, NOON),
    ],
}


@pytest.mark.parametrize("actions", ACTIONS.values(), ids=ACTIONS)
def test_candles_after_a_merge(
    connection: Connection, actions: list[tuple[str, int, object]]
) -> None:
    ensure(connection, "market_data", NOON - DAY, NOON + 2 * DAY)
    insert_trades(connection, *(trade(n, timestamp=NOON) for n in (1, 2, 3)))
    with connection.transaction():
        # a nested loop takes the source's rows in their order
        for method in ("hashjoin", "mergejoin"):
            connection.execute(f"SET LOCAL enable_{method} = off".encode())
        connection.execute(
            f"""
            MERGE INTO entasis.market_data AS t
            USING (VALUES {", ".join(["(%s, %s, %s::timestamptz)"] * len(actions))})
            AS s (action, id, at) ON t.id = s.id AND s.action <> 'insert'
            WHEN MATCHED AND s.action = 'change' THEN UPDATE SET price = 1, volume = 100 + t.id
            WHEN MATCHED AND s.action = 'rename' THEN UPDATE SET id = 70 + t.id, volume = 50
            WHEN MATCHED AND s.action = 'side' THEN UPDATE SET side = 'buy'
            WHEN NOT MATCHED THEN INSERT (id, symbol, exchange, timestamp, price, volume)
            VALUES (s.id, 'BTC', 'x', s.at, {FIRST.price}, {FIRST.volume})
            """.encode(),
            [value for action in actions for value in action],
        )
    oracle.assert_candles_are_right(connection)
    stored = oracle.stored_trades(connection)
    assert len(stored) == 3 + sum(action == "insert" for action, *_ in actions)
