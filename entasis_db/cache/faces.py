"""The cache as programs use it: synchronous, and for an event loop."""

import asyncio
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
import redis
import redis.asyncio
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from entasis_db.cache import scripts
from entasis_db.cache.core import CacheMetrics, Core, Join, Query, Sleep
from entasis_db.cache.listener import Listener
from entasis_db.cache.local import Local
from entasis_db.cache.policy import CachePolicy
from entasis_db.cache.shared import Read, Store
from entasis_db.queries.statement import AsyncReader, Reader, Statement

Row = TypeVar("Row")


class _Parts:
    """What both faces are made of."""

    def __init__(
        self,
        conninfo: str,
        redis_url: str | None = None,
        *,
        policy: CachePolicy | None = None,
        max_entries: int = 10_000,
        max_silence: timedelta = timedelta(seconds=5),
        max_wait: timedelta = timedelta(seconds=2),
        redis_timeout: timedelta = timedelta(milliseconds=250),
        namespace: str | None = None,
        connections: int = 4,
    ) -> None:
        """Make a cache; nothing is connected before ``open``.

        ``conninfo`` leads to the primary server directly, not through a pooler that shares
        sessions: notifications are heard on a session of their own. ``redis_url`` names one Redis
        or Valkey (``redis://``, ``rediss://`` or ``unix://``; no cluster); without it there is only
        this process's memory, of ``max_entries`` entries of up to about 100 rows each.

        ``max_silence`` is how old a correction can be at most that a read does not know yet: when
        the server has not proved for so long that nothing is missing, reads go past the cache.
        ``max_wait`` is how long a read waits for another's query for the same, ``redis_timeout``
        how long for Redis. ``namespace`` begins Redis's keys; by default it is the database's own.
        ``connections`` to the database are opened at most for queries, beside the one that listens.
        """
        for name, span in (
            ("max_silence", max_silence),
            ("max_wait", max_wait),
            ("redis_timeout", redis_timeout),
        ):
            if span <= timedelta(0):
                raise ValueError(f"{name} is {span}: give a span of time above 0")
        if max_entries < 0 or connections < 1:
            raise ValueError("max_entries is 0 or more, and connections 1 or more")
        self._conninfo = conninfo
        self._redis_url = redis_url
        self._connections = connections
        seconds = redis_timeout.total_seconds()
        self._redis_options: dict[str, Any] = {
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
        }
        self._core = Core(
            policy or CachePolicy(),
            Local(max_entries),
            None,
            max_wait.total_seconds(),
            max_silence.total_seconds(),
        )
        self._redis: redis.Redis | None = None
        if redis_url is not None:
            # a second attempt would only make a slow server slower
            self._redis = redis.Redis.from_url(
                redis_url,
                retry=Retry(NoBackoff(), 0),
                redis_connect_func=scripts.note_run,
                **self._redis_options,
            )
        self._listener = Listener(conninfo, self._core, namespace, self._redis)

    def metrics(self) -> CacheMetrics:
        """Return how the cache is doing now; from any thread, at any time."""
        return self._core.metrics()

    def _said(self, reply: Any) -> Any:
        """Look at what a script answered: an error where Redis is full."""
        if isinstance(reply, bytes) and reply != b"OK":
            raise ResponseError(reply.decode(errors="replace"))
        if isinstance(reply, list) and b"M" in reply:
            self._core.breaker.failed(ResponseError("it has no room"))
        else:
            self._core.breaker.succeeded()
        return reply


class Cache(_Parts, Reader):
    """Answers queries from this process's memory, then from Redis, then from the database.

    Give it to a query in place of a connection, from any number of threads. Candles without filled
    gaps, latest prices and option chains are cached; every other query goes to the database. Rows
    are equal to the database's to the last digit, and a list of them is the caller's own.

    What is read is what the database said at some moment not longer than ``max_silence`` before, in
    practice a few milliseconds. Each query runs in a transaction of its own: a cache does not see
    what a caller's open transaction wrote. Everybody who uses one Redis namespace sees the same
    rows: give it a login that may read what its users may read.

    Redis that is down, slow or full makes reads slower and never wrong; a warning is logged when it
    fails and one when it is back. Use it in a ``with`` statement. Raises psycopg.Error as queries
    do, psycopg_pool.PoolTimeout when the database cannot be reached.
    """

    def open(self, timeout: timedelta = timedelta(seconds=5)) -> None:
        """Connect; wait for at most ``timeout`` until notifications are heard.

        It need not succeed: reads go to the database until they are.
        """
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=self._connections,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            open=True,
        )
        self._listener.start(timeout.total_seconds())

    def close(self) -> None:
        """Disconnect from everything."""
        self._listener.stop()
        self._pool.close()
        if self._redis is not None:
            self._redis.close()

    def fetch(self, statement: Statement[Row]) -> list[Row]:
        """Return every row of a query: what ``statement.fetch(cache)`` calls."""
        if (at_hand := self._core.at_hand(statement)) is not None:
            return at_hand
        steps = self._core.read(statement)
        try:
            step = next(steps)
            while True:
                try:
                    reply = self._do(step)
                except Exception as error:  # noqa: BLE001 - the reader decides
                    step = steps.throw(error)
                else:
                    step = steps.send(reply)
        except StopIteration as done:
            rows: list[Row] = done.value
            return rows
        finally:
            steps.close()  # an interrupted reader must not leave others waiting for it

    def _do(self, step: Any) -> Any:
        match step:
            case Query(statement):
                with self._pool.connection() as connection:
                    return statement.fetch(connection)
            case Sleep(seconds):
                return time.sleep(seconds)
            case Join(flight, seconds):
                try:
                    return flight.result(seconds)
                except FutureTimeoutError:
                    return None
            case Read() | Store():
                client, names, breaker = self._redis, self._core.names, self._core.breaker
                if client is None or names is None or not breaker.admits():
                    return None
                try:
                    return self._said(scripts.run(client, step, names.everything))
                except (RedisError, OSError) as error:
                    return breaker.failed(error)

    def __enter__(self) -> Self:
        """Open the cache."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the cache."""
        self.close()


class AsyncCache(_Parts, AsyncReader):
    """What Cache is, for an event loop: give it to ``fetch_async`` in place of a connection."""

    async def open(self, timeout: timedelta = timedelta(seconds=5)) -> None:
        """Connect; wait for at most ``timeout`` until notifications are heard, as Cache does."""
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=self._connections,
            kwargs={"autocommit": True},
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        await self._pool.open()
        self._async_redis: redis.asyncio.Redis | None = None
        if self._redis_url is not None:
            self._async_redis = redis.asyncio.Redis.from_url(
                self._redis_url,
                retry=AsyncRetry(NoBackoff(), 0),
                redis_connect_func=scripts.note_run_async,
                **self._redis_options,
            )
        await asyncio.to_thread(self._listener.start, timeout.total_seconds())

    async def close(self) -> None:
        """Disconnect from everything."""
        await asyncio.to_thread(self._listener.stop)
        await self._pool.close()
        if self._redis is not None:
            self._redis.close()
        if self._async_redis is not None:
            await self._async_redis.aclose()

    async def fetch_async(self, statement: Statement[Row]) -> list[Row]:
        """Return every row of a query: what ``statement.fetch_async(cache)`` calls."""
        if (at_hand := self._core.at_hand(statement)) is not None:
            return at_hand
        steps = self._core.read(statement)
        try:
            step = next(steps)
            while True:
                try:
                    reply = await self._do(step)
                except Exception as error:  # noqa: BLE001 - the reader decides
                    step = steps.throw(error)
                else:
                    step = steps.send(reply)
        except StopIteration as done:
            rows: list[Row] = done.value
            return rows
        finally:
            steps.close()  # a cancelled reader must not leave others waiting for it

    async def _do(self, step: Any) -> Any:
        match step:
            case Query(statement):
                async with self._pool.connection() as connection:
                    return await statement.fetch_async(connection)
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case Join(flight, seconds):
                try:
                    # not cancelled with its waiter: others may wait for it too
                    waiting = asyncio.shield(asyncio.wrap_future(flight))
                    return await asyncio.wait_for(waiting, seconds)
                except TimeoutError:
                    return None
            case Read() | Store():
                client, names, breaker = self._async_redis, self._core.names, self._core.breaker
                if client is None or names is None or not breaker.admits():
                    return None
                try:
                    return self._said(await scripts.run_async(client, step, names.everything))
                except (RedisError, OSError) as error:
                    return breaker.failed(error)

    async def __aenter__(self) -> Self:
        """Open the cache."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the cache."""
        await self.close()
