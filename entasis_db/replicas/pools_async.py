"""A pool for each server, and searches over them, for an event loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg

from entasis_db.extras import extra
from entasis_db.replicas.base import SLICE, is_away, is_full, noted, pool_options
from entasis_db.replicas.positions import State, now
from entasis_db.replicas.routing import (
    Ask,
    Demand,
    Give,
    Missing,
    Routing,
    Search,
    Sleep,
    Step,
    Take,
    Taken,
)
from entasis_db.replicas.servers import Server
from entasis_db.replicas.sessions import AsyncSession, ask_async, async_session_class

with extra("replicas"):
    from psycopg_pool import AsyncConnectionPool, PoolTimeout

Answer = TypeVar("Answer")
_IDLE = psycopg.pq.TransactionStatus.IDLE


class AsyncPools:
    """Does the steps of searches, as Pools does."""

    def __init__(self, routing: Routing, connections: int, seconds: float) -> None:
        self._routing = routing
        self._seconds = seconds
        self._pools = {
            server: AsyncConnectionPool(
                server.conninfo,
                connection_class=async_session_class(server.failed),
                **pool_options(connections, seconds),
            )
            for server in routing.servers.all
        }

    async def open(self) -> None:
        """Let connections be made."""
        for pool in self._pools.values():
            await pool.open()

    async def close(self) -> None:
        """Close them all."""
        for pool in self._pools.values():
            await pool.close()

    async def answer(
        self, demand: Demand, run: Callable[[AsyncSession], Awaitable[Answer]]
    ) -> Answer:
        """Run a read, on another server if one ends it."""
        tried: list[Server] = []
        while True:
            async with self.lend(self._routing.reading(demand, tried)) as taken:
                try:
                    answer = await run(taken.connection)
                except psycopg.Error as error:
                    if not is_away(error):
                        raise
                    taken.server.failed(error)
                    tried.append(taken.server)
                else:
                    taken.server.count("reads")
                    return answer

    @asynccontextmanager
    async def lend(self, search: Search) -> AsyncIterator[Taken]:
        """Lend a connection to the server that is found."""
        held: list[Taken] = []
        try:
            yield await self._found(search, held)
        finally:
            search.close()
            for taken in held:
                await self._give(taken)

    async def _found(self, search: Search, held: list[Taken]) -> Taken:
        reply = None
        while True:
            try:
                step = search.send(reply)
            except StopIteration as done:
                found: Taken = done.value
                return found
            reply = await self._do(step, held)

    async def _do(self, step: Step, held: list[Taken]) -> Taken | Missing | State | None:
        match step:
            case Take(server):
                taken = await self._take(server)
                if isinstance(taken, Taken):
                    held.append(taken)
                return taken
            case Ask(taken):
                return await self._state(taken.server, taken.connection)
            case Give(taken):
                held[:] = [one for one in held if one.connection is not taken.connection]
                await self._give(taken)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
        return None

    async def _take(self, server: Server) -> Taken | Missing:
        pool, began = self._pools[server], now()
        while now() - began < self._seconds:
            try:
                connection = await pool.getconn(SLICE)
            except PoolTimeout:
                if server.failed_since(began):
                    return Missing.AWAY
                if is_full(pool.get_stats()):
                    return Missing.BUSY
                continue
            state = None
            try:
                state = await self._state(server, connection)
            finally:
                if state is None:
                    await pool.putconn(connection)
            if state is not None:
                return Taken(server, connection, state)
            if server.failed_since(began):
                return Missing.AWAY
        server.failed(TimeoutError("it cannot be connected to in time"))
        return Missing.AWAY

    async def _state(self, server: Server, connection: AsyncSession) -> State | None:
        """Ask a server how it is; None for a connection of no use."""
        try:
            state = await ask_async(connection, self._seconds)
        except psycopg.Error as error:
            server.lost()
            # one that was lost while nobody used it says nothing about new ones
            if error.sqlstate is not None or "in time" in str(error):
                server.failed(error)
            return None
        return state if noted(self._routing.servers, server, state) else None

    async def _give(self, taken: Taken) -> None:
        connection: AsyncSession = taken.connection
        if not connection.autocommit and connection.info.transaction_status == _IDLE:
            await connection.set_autocommit(True)
        await self._pools[taken.server].putconn(connection)
