"""A trade's side is filled in without new candles, and caches evict the trade nevertheless."""

import json

import pytest

from entasis_db import queries
from tests.contract.cache.support import MINUTE, heard, open_cache, store
from tests.db import listen_for_caches
from tests.engines import Database
from tests.make import NOON, trade

# on the other engine, latest prices have a bound in time: what a refresh stores is published
pytestmark = [
    pytest.mark.copy,
    pytest.mark.several_connections,
    pytest.mark.newest_server,
    pytest.mark.candle_tables,
]

LATEST = queries.latest_price("BTC", "x")


def test_a_side_that_is_filled_in_is_read(database: Database) -> None:
    with database.connect() as connection, open_cache(database.dsn, None) as cache:
        store(connection, trade(1), trade(2))
        heard(cache)
        assert LATEST.fetch(cache) == queries.latest_prices().fetch(cache) == [trade(2)]
        store(connection, trade(2, side="sell"))
        heard(cache)
        filled = [trade(2, side="sell")]
        assert LATEST.fetch(cache) == queries.latest_prices().fetch(cache) == filled
        if not database.can("announced_sql"):
            return
        connection.execute("UPDATE entasis.market_data SET side = 'buy'")
        heard(cache)
        changed = [trade(2, side="buy")]
        assert LATEST.fetch(cache) == queries.latest_prices().fetch(cache) == changed


def test_what_is_published_of_a_side(database: Database) -> None:
    minute = NOON.timestamp()
    with database.connect() as connection, database.connect() as ear:
        store(connection, trade(1), trade(70), trade(200), trade(1, symbol="ETH", side="buy"))
        listen_for_caches(ear)

        def published() -> list[object]:
            return [json.loads(n.payload) for n in ear.notifies(timeout=0.3)]

        with open_cache(database.dsn, None):
            store(connection, trade(1, side="sell"), trade(70, side="buy"), trade(1, symbol="ETH"))
            assert published() == [{"trades": [["BTC", "x", minute, minute + 60]]}]
            if not database.can("announced_sql"):
                return
            connection.execute("UPDATE entasis.market_data SET side = NULL WHERE symbol = 'ETH'")
            assert published() == [{"trades": [["ETH", "x", minute, minute]]}]
            # nothing that a query shows
            connection.execute("UPDATE entasis.market_data SET created_at = now(), side = side")
            assert published() == []
            connection.execute(
                "UPDATE entasis.market_data SET side = 'buy', price = price + 1 WHERE id = 200"
            )
            later = (NOON + 3 * MINUTE).timestamp()
            assert published() == [{"trades": [["BTC", "x", later, later]]}]
