"""A Redis server for each file of the cache's tests."""

from collections.abc import Iterator

import pytest

from tests.caches import RedisServer, redis_server


@pytest.fixture(scope="module")
def redis(needs_redis: None) -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server
