"""A primary and its replicas, for an event loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import psycopg

from entasis_db.cursors import AsyncCursor
from entasis_db.replicas.base import ReplicasBase, check_committed, demand, position_of
from entasis_db.replicas.pools_async import AsyncPools
from entasis_db.replicas.positions import STATE, Position, now, state_of
from entasis_db.replicas.reading_async import AsyncReading


class AsyncReplicas(ReplicasBase, AsyncReading):
    """Does what Replicas does, for an event loop: use it in an ``async with`` statement."""

    def __init__(self, conninfo: str, **options: Any) -> None:
        ReplicasBase.__init__(self, conninfo, **options)
        pools = AsyncPools(self._routing, self._connections, self._seconds)
        AsyncReading.__init__(self, pools, self._routing, self._default)

    async def open(self) -> None:
        """Let connections be made; none is made before it is needed."""
        await self._pools.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pools.close()

    def reading(
        self, max_lag: timedelta | None = None, *, after: Position | None = None
    ) -> AsyncReading:
        """Return a reader whose reads ask for more.

        With ``max_lag``, a read sees all that was committed longer ago than that when it began: a
        replica answers only if it has replayed up to where the primary was at a moment within that
        time. With ``after``, from ``written``, it sees what was written before: a replica answers
        when it has replayed that. One that is not so far is waited for, for ``patience`` at most.
        Then the primary answers, and without one StaleReadError is raised.
        """
        return AsyncReading(self._pools, self._routing, demand(max_lag, after))

    @asynccontextmanager
    async def primary(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Lend a connection, in autocommit mode, to the server that takes writes.

        Nothing is run anew. Raises NoServerError when there is none, as during a failover.
        """
        async with self._pools.lend(self._routing.writing()) as taken:
            taken.server.count("writes")
            async with taken.connection as lent:
                yield lent

    async def written(self, connection: psycopg.AsyncConnection[Any]) -> Position:
        """Return a token for ``reading``: reads after it see what ``connection`` has committed.

        Call it after the transaction has ended. Raises SessionError in a transaction, and on a
        replica.
        """
        check_committed(connection)
        moment = now()
        async with AsyncCursor(connection) as cursor:
            await cursor.execute(STATE)
            row = await cursor.fetchone()
        return position_of(state_of(moment, row))

    async def __aenter__(self) -> Self:
        """Open it."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()
