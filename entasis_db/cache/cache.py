"""The cache for threads."""

import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg

from entasis_db.cache.cache_base import CacheBase
from entasis_db.cache.steps import Answer, Discard, Join, Lookup, Query, Sleep, Step, Store
from entasis_db.extras import extra
from entasis_db.queries.statement import Reader, Statement

with extra("cache"):
    from psycopg_pool import ConnectionPool

Row = TypeVar("Row")


class Cache(CacheBase, Reader):
    """Answers queries from this process's memory, then from Redis, then from the database.

    Give it to a query in place of a connection, from any number of threads. Candles without filled
    gaps, latest prices and option chains are cached; every other query goes to the database. Rows
    are equal to the database's to the last digit, and a list of them is the caller's own.

    A read returns what the database held at some moment no longer ago than ``max_silence``, usually
    a few milliseconds; what the database does not notify caches of (on engine ``timescaledb``,
    latest prices and candles that are not stored yet) is older by the policy's lifetimes at most.
    Each query runs in a transaction of its own: a cache does not see what a caller's open
    transaction wrote. All users of one Redis namespace see the same rows: give the cache a login
    that may read what its users may read.

    A Redis that is down, slow or full makes reads slower, not older; a warning is logged when it
    fails and one when it answers again. Use the cache in a ``with`` statement. Raises psycopg.Error
    as queries do, psycopg_pool.PoolTimeout when the database cannot be reached.
    """

    _pool: ConnectionPool[psycopg.Connection[Any]] | None = None

    def open(self, timeout: timedelta = timedelta(seconds=5)) -> None:
        """Connect; wait for at most ``timeout`` until notifications are heard.

        That need not succeed: reads go to the database until they are.
        """
        self._pool = ConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=self._connections,
            kwargs={"autocommit": True, "client_encoding": "UTF8"},
            configure=self._servers.note,
            check=ConnectionPool.check_connection,
            open=True,
        )
        self._listener.start(timeout.total_seconds())

    def close(self) -> None:
        """Disconnect from everything."""
        self._listener.stop()
        if self._pool is not None:
            self._pool.close()
        if self._store is not None:
            self._store.close()

    def fetch(self, statement: Statement[Row]) -> list[Row]:
        """Return every row of a query: what ``statement.fetch(cache)`` calls."""
        if (rows := self._reads.from_memory(statement)) is not None:
            return rows
        steps = self._reads.read(statement)
        try:
            step = next(steps)
            while True:
                try:
                    reply = self._do(step)
                except Exception as error:  # noqa: BLE001 - the read decides
                    step = steps.throw(error)
                else:
                    step = steps.send(reply)
        except StopIteration as done:
            answer: list[Row] = done.value
            return answer
        finally:
            steps.close()  # an interrupted read must not leave others waiting for it

    def _do(self, step: Step) -> Any:
        match step:
            case Query(statement):
                if self._pool is None:
                    raise RuntimeError("the cache is not open: use it in a `with` statement")
                with self._pool.connection() as connection:
                    kept = self._servers.is_heard(connection, self._trust.server())
                    return Answer(statement.fetch(connection), kept)
            case Sleep(seconds):
                return time.sleep(seconds)
            case Join(fetch, seconds):
                try:
                    return fetch.result(seconds)
                except FutureTimeoutError:
                    return None
            case Lookup() | Store() | Discard():
                return None if self._store is None else self._store.do(step)

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
