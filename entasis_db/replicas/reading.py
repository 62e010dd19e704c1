"""Reads that ask for the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from entasis_db.queries.statement import BatchReader, Statement
from entasis_db.replicas.base import is_away
from entasis_db.replicas.pools import Pools
from entasis_db.replicas.routing import Demand, Routing
from entasis_db.replicas.servers import Server

if TYPE_CHECKING:
    import pyarrow as pa

Row = TypeVar("Row")


class Reading(BatchReader):
    """Answers queries from a server that is as current as was asked for: a replica, if one is.

    Give it to a query in place of a connection, from any number of threads. ``Replicas.reading``
    makes it. A read that a server ends (it stops, or has to remove what the query reads: "conflict
    with recovery") is run anew on another one.

    Raises NoServerError when no server answers, and StaleReadError when none is known to be as
    current as was asked for, and psycopg.Error as queries do.
    """

    def __init__(self, pools: Pools, routing: Routing, demand: Demand) -> None:
        self._pools = pools
        self._routing = routing
        self._demand = demand

    def fetch(self, statement: Statement[Row]) -> list[Row]:
        """Return every row of a query: what ``statement.fetch(reading)`` calls."""
        return self._pools.answer(self._demand, statement.fetch)

    def batches(self, statement: Statement[Any], *, floats: bool) -> "list[pa.RecordBatch]":
        """Return the record batches of a query: what ``statement.arrow(reading)`` calls."""

        def run(connection: psycopg.Connection[Any]) -> "list[pa.RecordBatch]":
            return list(statement.record_batches(connection, floats=floats))

        return self._pools.answer(self._demand, run)

    def record_batches(
        self, statement: Statement[Any], *, floats: bool
    ) -> "Iterator[pa.RecordBatch]":
        """Yield the record batches of a query: what ``statement.record_batches(reading)`` calls.

        Another server is asked only as long as no batch was given. After that an error is raised.
        """
        tried: list[Server] = []
        given = False
        while True:
            with self._pools.lend(self._routing.reading(self._demand, tried)) as taken:
                try:
                    for batch in statement.record_batches(taken.connection, floats=floats):
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

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection, in autocommit mode, to a server that is current enough, for reads.

        What is run on it is not run anew elsewhere. Raises NoServerError and StaleReadError.
        """
        with self._pools.lend(self._routing.reading(self._demand, ())) as taken:
            taken.server.count("reads")
            with taken.connection as lent:
                yield lent
