"""The cache for an event loop."""

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg

from entasis_db.cache.cache_base import CacheBase
from entasis_db.cache.redis_store import AsyncRedis
from entasis_db.cache.steps import Answer, Discard, Join, Lookup, Query, Sleep, Step, Store
from entasis_db.extras import extra
from entasis_db.queries.statement import AsyncReader, Statement

with extra("cache"):
    from psycopg_pool import AsyncConnectionPool

Row = TypeVar("Row")


class AsyncCache(CacheBase, AsyncReader):
    """Does what Cache does, for an event loop: give it to ``fetch_async`` in place of a connection.

    Use it in an ``async with`` statement.
    """

    _pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] | None = None
    _redis: AsyncRedis | None = None

    async def open(self, timeout: timedelta = timedelta(seconds=5)) -> None:
        """Connect; wait for at most ``timeout`` until notifications are heard, as Cache does."""
        self._pool = AsyncConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=self._connections,
            kwargs={"autocommit": True, "client_encoding": "UTF8"},
            configure=self._servers.note_async,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        await self._pool.open()
        if self._store is not None:
            self._redis = self._store.async_client()
        await asyncio.to_thread(self._listener.start, timeout.total_seconds())

    async def close(self) -> None:
        """Disconnect from everything."""
        await asyncio.to_thread(self._listener.stop)
        if self._pool is not None:
            await self._pool.close()
        if self._store is not None:
            self._store.close()
        if self._redis is not None:
            await self._redis.close()

    async def fetch_async(self, statement: Statement[Row]) -> list[Row]:
        """Return every row of a query: what ``statement.fetch_async(cache)`` calls."""
        if (rows := self._reads.from_memory(statement)) is not None:
            return rows
        steps = self._reads.read(statement)
        try:
            step = next(steps)
            while True:
                try:
                    reply = await self._do(step)
                except Exception as error:  # noqa: BLE001 - the read decides
                    step = steps.throw(error)
                else:
                    step = steps.send(reply)
        except StopIteration as done:
            answer: list[Row] = done.value
            return answer
        finally:
            steps.close()  # a cancelled read must not leave others waiting for it

    async def _do(self, step: Step) -> Any:
        match step:
            case Query(statement):
                if self._pool is None:
                    raise RuntimeError("the cache is not open: use it in an `async with` statement")
                async with self._pool.connection() as connection:
                    kept = self._servers.is_heard(connection, self._trust.server())
                    return Answer(await statement.fetch_async(connection), kept)
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case Join(fetch, seconds):
                try:
                    # not cancelled with its waiter: others may wait for it too
                    waiting = asyncio.shield(asyncio.wrap_future(fetch))
                    return await asyncio.wait_for(waiting, seconds)
                except TimeoutError:
                    return None
            case Lookup() | Store() | Discard():
                if self._store is None or self._redis is None:
                    return None
                return await self._store.do_async(self._redis, step)

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
