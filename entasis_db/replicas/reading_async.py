"""Reads that ask for the same."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from entasis_db.queries.statement import AsyncBatchReader, Statement
from entasis_db.replicas.base import is_away
from entasis_db.replicas.pools_async import AsyncPools
from entasis_db.replicas.routing import Demand, Routing
from entasis_db.replicas.servers import Server

if TYPE_CHECKING:
    import pyarrow as pa

Row = TypeVar("Row")


class AsyncReading(AsyncBatchReader):
    """Does what Reading does, for an event loop."""

    def __init__(self, pools: AsyncPools, routing: Routing, demand: Demand) -> None:
        self._pools = pools
        self._routing = routing
        self._demand = demand

    async def fetch_async(self, statement: Statement[Row]) -> list[Row]:
        """Return every row of a query: what ``statement.fetch_async(reading)`` calls."""
        return await self._pools.answer(self._demand, statement.fetch_async)

    async def batches_async(
        self, statement: Statement[Any], *, floats: bool
    ) -> "list[pa.RecordBatch]":
        """Return the record batches of a query: what ``statement.arrow_async(reading)`` calls."""

        async def run(connection: psycopg.AsyncConnection[Any]) -> "list[pa.RecordBatch]":
            return [
                batch async for batch in statement.record_batches_async(connection, floats=floats)
            ]

        return await self._pools.answer(self._demand, run)

    async def record_batches_async(
        self, statement: Statement[Any], *, floats: bool
    ) -> "AsyncIterator[pa.RecordBatch]":
        """Yield the record batches of a query.

        Another server is asked only as long as no batch was given. After that an error is raised.
        """
        tried: list[Server] = []
        given = False
        while True:
            async with self._pools.lend(self._routing.reading(self._demand, tried)) as taken:
                try:
                    async for batch in statement.record_batches_async(
                        taken.connection, floats=floats
                    ):
                        yield batch
                        given = True
                except psycopg.Error as error:
                    if not is_away(error):
                        raise
                    taken.server.failed(error)
                    tried.append(taken.server)
                    if given:
                        error.add_note("a part of the answer was given before: ask for all of it")
                        raise
                else:
                    taken.server.count("reads")
                    return

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Lend a connection, in autocommit mode, to a server that is current enough, for reads.

        What is run on it is not run anew elsewhere. Raises NoServerError and StaleReadError.
        """
        async with self._pools.lend(self._routing.reading(self._demand, ())) as taken:
            taken.server.count("reads")
            async with taken.connection as lent:
                yield lent
