"""A primary and its replicas, for threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import psycopg

from entasis_db.cursors import Cursor
from entasis_db.replicas.base import ReplicasBase, check_committed, demand, position_of
from entasis_db.replicas.pools import Pools
from entasis_db.replicas.positions import STATE, Position, now, state_of
from entasis_db.replicas.reading import Reading


class Replicas(ReplicasBase, Reading):
    """Reads from replicas in turn, writes to the primary, and knows how far each of them is.

    Give it to a query in place of a connection, from any number of threads, and use it in a
    ``with`` statement. ``reading`` gives reads that are bounded in their age, or see what was
    written before; ``primary`` lends a connection for writes. A server that cannot be reached or
    ends a session is left out for a second, longer after each further failure, up to 30 s, and
    asked again then. When no replica can answer, the primary does.

    Raises NoServerError when no server answers, StaleReadError when none is known to be as current
    as was asked for, and psycopg.Error as queries do.
    """

    def __init__(self, conninfo: str, **options: Any) -> None:
        ReplicasBase.__init__(self, conninfo, **options)
        pools = Pools(self._routing, self._connections, self._seconds)
        Reading.__init__(self, pools, self._routing, self._default)

    def open(self) -> None:
        """Let connections be made; none is made before it is needed."""
        self._pools.open()

    def close(self) -> None:
        """Close all connections."""
        self._pools.close()

    def reading(
        self, max_lag: timedelta | None = None, *, after: Position | None = None
    ) -> Reading:
        """Return a reader whose reads ask for more.

        With ``max_lag``, a read sees all that was committed longer ago than that when it began: a
        replica answers only if it has replayed up to where the primary was at a moment within that
        time. With ``after``, from ``written``, it sees what was written before: a replica answers
        when it has replayed that. One that is not so far is waited for, for ``patience`` at most.
        Then the primary answers, and without one StaleReadError is raised.
        """
        return Reading(self._pools, self._routing, demand(max_lag, after))

    @contextmanager
    def primary(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection, in autocommit mode, to the server that takes writes.

        Nothing is run anew. Raises NoServerError when there is none, as during a failover.
        """
        with self._pools.lend(self._routing.writing()) as taken:
            taken.server.count("writes")
            with taken.connection as lent:
                yield lent

    def written(self, connection: psycopg.Connection[Any]) -> Position:
        """Return a token for ``reading``: reads after it see what ``connection`` has committed.

        Call it after the transaction has ended. Raises SessionError in a transaction, and on a
        replica.
        """
        check_committed(connection)
        moment = now()
        with Cursor(connection) as cursor:
            row = cursor.execute(STATE).fetchone()
        return position_of(state_of(moment, row))

    def __enter__(self) -> Self:
        """Open it."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
