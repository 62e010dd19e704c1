"""A pool for each server, and searches over them, for threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
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
from entasis_db.replicas.sessions import Session, ask, session_class

with extra("replicas"):
    from psycopg_pool import ConnectionPool, PoolTimeout

Answer = TypeVar("Answer")
_IDLE = psycopg.pq.TransactionStatus.IDLE


class Pools:
    """Does the steps of searches."""

    def __init__(self, routing: Routing, connections: int, seconds: float) -> None:
        self._routing = routing
        self._seconds = seconds
        self._pools = {
            server: ConnectionPool(
                server.conninfo,
                connection_class=session_class(server.failed),
                **pool_options(connections, seconds),
            )
            for server in routing.servers.all
        }

    def open(self) -> None:
        """Let connections be made."""
        for pool in self._pools.values():
            pool.open()

    def close(self) -> None:
        """Close them all."""
        for pool in self._pools.values():
            pool.close()

    def answer(self, demand: Demand, run: Callable[[Session], Answer]) -> Answer:
        """Run a read, on another server if one ends it."""
        tried: list[Server] = []
        while True:
            with self.lend(self._routing.reading(demand, tried)) as taken:
                try:
                    answer = run(taken.connection)
                except psycopg.Error as error:
                    if not is_away(error):
                        raise
                    taken.server.failed(error)
                    tried.append(taken.server)
                else:
                    taken.server.count("reads")
                    return answer

    @contextmanager
    def lend(self, search: Search) -> Iterator[Taken]:
        """Lend a connection to the server that is found."""
        held: list[Taken] = []
        try:
            yield self._found(search, held)
        finally:
            search.close()
            for taken in held:
                self._give(taken)

    def _found(self, search: Search, held: list[Taken]) -> Taken:
        reply = None
        while True:
            try:
                step = search.send(reply)
            except StopIteration as done:
                found: Taken = done.value
                return found
            reply = self._do(step, held)

    def _do(self, step: Step, held: list[Taken]) -> Taken | Missing | State | None:
        match step:
            case Take(server):
                taken = self._take(server)
                if isinstance(taken, Taken):
                    held.append(taken)
                return taken
            case Ask(taken):
                return self._state(taken.server, taken.connection)
            case Give(taken):
                held[:] = [one for one in held if one.connection is not taken.connection]
                self._give(taken)
            case Sleep(seconds):
                sleep(seconds)
        return None

    def _take(self, server: Server) -> Taken | Missing:
        pool, began = self._pools[server], now()
        while now() - began < self._seconds:
            try:
                connection = pool.getconn(SLICE)
            except PoolTimeout:
                if server.failed_since(began):
                    return Missing.AWAY
                if is_full(pool.get_stats()):
                    return Missing.BUSY
                continue
            state = None
            try:
                state = self._state(server, connection)
            finally:
                if state is None:
                    pool.putconn(connection)
            if state is not None:
                return Taken(server, connection, state)
            if server.failed_since(began):
                return Missing.AWAY
        server.failed(TimeoutError("it cannot be connected to in time"))
        return Missing.AWAY

    def _state(self, server: Server, connection: Session) -> State | None:
        """Ask a server how it is; None for a connection of no use."""
        try:
            state = ask(connection, self._seconds)
        except psycopg.Error as error:
            server.lost()
            # one that was lost while nobody used it says nothing about new ones
            if error.sqlstate is not None or "in time" in str(error):
                server.failed(error)
            return None
        return state if noted(self._routing.servers, server, state) else None

    def _give(self, taken: Taken) -> None:
        connection: Session = taken.connection
        if not connection.autocommit and connection.info.transaction_status == _IDLE:
            connection.autocommit = True
        self._pools[taken.server].putconn(connection)
