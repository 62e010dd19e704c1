"""What another server answers than the primary that is listened to is never kept."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db import maintenance
from entasis_db.archive import archive, open_store, restore
from entasis_db.cache import AsyncCache
from entasis_db.embedded import Cluster
from entasis_db.errors import SessionError
from entasis_db.migrate import migrate
from tests.caches import RedisServer
from tests.contract.cache.support import candles, counted, open_cache, store
from tests.db import Connection
from tests.engines import Source
from tests.make import NOON, trade
from tests.servers.cluster import SETTINGS, bare_cluster

pytestmark = [
    pytest.mark.copy,
    pytest.mark.several_connections,
    pytest.mark.newest_server,
    pytest.mark.own_cluster,
    pytest.mark.standby,
]


class Servers(NamedTuple):
    """Connection strings; all three began with one trade, and the primary has two."""

    primary: str
    replica: str
    """It lags by an hour."""
    copy: str
    """Of the primary, as restored from a backup."""


def copied(stack: ExitStack, primary: Cluster, name: str, **settings: str) -> Cluster:
    home = primary.home.with_name(name)
    subprocess.run(["cp", "-a", primary.home, home], check=True)
    Path(home / "port").unlink()
    cluster = Cluster(primary.bindir, home, {**primary.settings, **SETTINGS, **settings})
    stack.callback(cluster.destroy)
    return cluster


@pytest.fixture(scope="module")
def servers(source: Source) -> Iterator[Servers]:
    assert source.bindir is not None
    with bare_cluster(source.bindir, **source.settings) as primary, ExitStack() as stack:
        migrate(primary.dsn(), engine=source.engine)
        with psycopg.connect(primary.dsn(), autocommit=True) as connection:
            store(connection, trade(1))
        primary.stop()
        copy = copied(stack, primary, "copy")
        replica = copied(
            stack,
            primary,
            "replica",
            primary_conninfo=primary.dsn("postgres"),
            recovery_min_apply_delay="1h",
        )
        (replica.home / "data" / "standby.signal").touch()
        for cluster in (primary, copy, replica):
            cluster.start()
        with psycopg.connect(primary.dsn(), autocommit=True) as connection:
            store(connection, trade(2))
        yield Servers(*(cluster.dsn() for cluster in (primary, replica, copy)))


def several(*dsns: str, **options: str) -> str:
    parts = [conninfo_to_dict(dsn) for dsn in dsns]
    lists = {name: ",".join(str(p[name]) for p in parts) for name in ("host", "port")}
    return make_conninfo(dsns[0], **lists, **options)


def values(redis: RedisServer) -> list[Any]:
    with redis.client() as client:
        return list(client.keys("*:v:*"))


def test_a_replica_is_asked_and_not_kept(servers: Servers, redis: RedisServer) -> None:
    # of two hosts, libpq tries the first first
    both = several(servers.replica, servers.primary)
    with open_cache(both, redis) as cache:
        assert cache.metrics().listening
        for _ in range(2):
            assert counted(candles().fetch(cache)) == 1
        found = cache.metrics()
        assert (found.entries, found.queries, found.unkept) == (0, 2, 2)
        assert values(redis) == []
        # the leases were given back
        with open_cache(servers.primary, redis) as second:
            assert counted(candles().fetch(second)) == 2
        assert counted(candles().fetch(cache)) == 2
        assert cache.metrics().redis_hits == 1

    async def read() -> tuple[int, int]:
        async with AsyncCache(both) as reader:
            rows = await candles().fetch_async(reader)
            return counted(rows), reader.metrics().entries

    assert asyncio.run(read()) == (1, 0)


def test_what_needs_a_primary_refuses_a_replica(servers: Servers, tmp_path: Path) -> None:
    store_of = open_store(tmp_path.as_uri())
    with psycopg.connect(servers.replica, autocommit=True) as connection:
        for work in (
            lambda: maintenance.maintain(connection),
            lambda: archive(connection, store_of),
            lambda: restore(connection, store_of, "market_data", NOON, NOON.replace(hour=23)),
            lambda: migrate(servers.replica),
        ):
            with pytest.raises(SessionError, match="in recovery, a replica: connect to"):
                work()


def test_whichever_server_answers_only_the_primarys_rows_are_kept(
    servers: Servers, redis: RedisServer
) -> None:
    balanced = several(servers.primary, servers.replica, load_balance_hosts="random")
    with redis.client() as client:
        client.flushall()
    with ExitStack() as stack:
        caches = [stack.enter_context(open_cache(balanced, redis, connections=1)) for _ in range(8)]
        for cache in caches:
            first = counted(candles().fetch(cache))
            kept = counted(candles().fetch(cache))
            assert (first, kept) in {(1, 1), (1, 2), (2, 2)}
            assert (cache.metrics().entries > 0) == (kept == 2)


@pytest.mark.parametrize("namespace", [None, "desk"])
def test_a_copy_shares_nothing_with_its_primary(
    servers: Servers, redis: RedisServer, namespace: str | None
) -> None:
    def identifier(connection: Connection) -> Any:
        return connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()

    with psycopg.connect(servers.primary) as one, psycopg.connect(servers.copy) as other:
        assert identifier(one) == identifier(other)
    with (
        open_cache(servers.primary, redis, namespace=namespace) as first,
        open_cache(servers.copy, redis, namespace=namespace) as second,
    ):
        for _ in range(2):
            assert counted(candles().fetch(first)) == 2
            assert counted(candles().fetch(second)) == 1
        assert first.metrics().redis_hits == second.metrics().redis_hits == 0
