"""Idle connections to Redis are used again only where the next answer is that of what is asked."""

import asyncio
import select
from datetime import timedelta

import pytest
from redis.asyncio import Redis as AsyncClient

from entasis_db.cache import AsyncCache
from tests.caches import RedisServer
from tests.contract.cache.support import LONG, candles, counted, heard, open_cache, store
from tests.db import Connection
from tests.engines import Database
from tests.make import trade

pytestmark = [pytest.mark.copy, pytest.mark.several_connections, pytest.mark.newest_server]


@pytest.mark.parametrize("out_of_step", [False, True], ids=["closed", "out of step"])
def test_an_idle_connection_that_cannot_be_used_is_replaced(
    database: Database, connection: Connection, redis: RedisServer, out_of_step: bool
) -> None:
    store(connection, trade(1))
    with open_cache(database.dsn, redis) as cache:
        heard(cache)
        assert counted(candles().fetch(cache)) == 1
        assert cache._store is not None
        (idle,) = cache._store._connections._idle
        if out_of_step:
            idle.send_command("ECHO", "of an earlier question")
            select.select([idle._sock], [], [], 10)
        else:
            with redis.client() as client:
                client.client_kill_filter(_type="normal", skipme=True)
                client.ping()
        queries = cache.metrics().queries
        cache._memory.clear()
        assert counted(candles().fetch(cache)) == 1
        assert (cache.metrics().queries, cache.metrics().redis_failures) == (queries, 0)
        (replaced,) = cache._store._connections._idle
        cache._memory.clear()
        assert counted(candles().fetch(cache)) == 1
        assert list(cache._store._connections._idle) == [replaced]


def test_in_an_event_loop_too(
    database: Database, connection: Connection, redis: RedisServer
) -> None:
    store(connection, trade(1))

    async def read() -> None:
        options = {"policy": LONG, "redis_timeout": timedelta(seconds=2)}
        async with (
            AsyncCache(database.dsn, redis.url, **options) as cache,  # type: ignore[arg-type]
            AsyncClient(port=redis.port) as client,
        ):
            await asyncio.to_thread(heard, cache)
            for disturb in (False, False, True):
                if disturb:
                    await client.client_kill_filter(_type="normal", skipme=True)
                    await client.ping()
                    await asyncio.sleep(0.05)
                cache._memory.clear()
                assert counted(await candles().fetch_async(cache)) == 1
            assert (cache.metrics().queries, cache.metrics().redis_failures) == (1, 0)

    asyncio.run(read())
