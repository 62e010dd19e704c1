"""What both kinds of Replicas are made of, and the rules that their pools share."""

from datetime import timedelta
from math import ceil
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from entasis_db.errors import SessionError
from entasis_db.replicas.hosts import hosts_of
from entasis_db.replicas.metrics import ServerMetrics
from entasis_db.replicas.positions import Position, State
from entasis_db.replicas.routing import Demand, Routing
from entasis_db.replicas.servers import Server, Servers, WrongServerError

SLICE = 0.05  # s of waiting for a pool, between two looks whether its server has failed

# what ends a session, or a query that another server, or the same one later, would answer: its
# class, or all of it
_AWAY = ("08", "57P", "40001", "40P01", "53300")

AnyConnection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]


def is_away(error: psycopg.Error) -> bool:
    """Say whether a read that failed so may be asked of another server."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(_AWAY)


def check_committed(connection: AnyConnection) -> None:
    """Refuse a connection in a transaction: what it wrote is not committed yet."""
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        raise SessionError(
            "written() says where a commit was written: call it after the transaction has ended, "
            "on a connection in autocommit mode"
        )


def position_of(state: State) -> Position:
    """Return where a primary is. Raises SessionError for a replica."""
    if state.in_recovery:
        raise SessionError(
            "written() asks the server that took the write, and this one is a replica: give the "
            "connection that primary() lent"
        )
    return state.position


class ReplicasBase:
    """Servers, and how they are searched."""

    def __init__(
        self,
        conninfo: str,
        *,
        max_lag: timedelta | None = None,
        patience: timedelta = timedelta(milliseconds=200),
        server_timeout: timedelta = timedelta(seconds=2),
        timeout: timedelta = timedelta(seconds=30),
        connections: int = 4,
    ) -> None:
        """Name the servers; nothing is connected before a connection is needed.

        ``conninfo`` names the primary and its replicas, in any order:
        ``postgresql://a,b,c/entasis``, with ports as ``a:5432,b:5433`` if need be. Who is the
        primary is asked, again whenever it matters. Its ``target_session_attrs`` says nothing here.

        ``max_lag`` holds for reads that ask for nothing else; None: a replica answers however far
        it is behind. ``patience`` is how long a read waits for a replica that is not as far as it
        asked for, before the primary answers; ``server_timeout`` how long a server may take to
        be connected to, and to say how far it is; ``timeout`` how long to wait for a connection
        while all are in use. ``connections`` is the most that are opened to each server.

        Raises ValueError for what cannot be understood, or cannot be.
        """
        spans = {"patience": patience, "server_timeout": server_timeout, "timeout": timeout}
        for name, span in spans.items():
            if span <= timedelta(0):
                raise ValueError(f"{name} is {span}: give a span of time above 0")
        if connections < 1:
            raise ValueError("connections is 1 or more")
        self._connections = connections
        self._seconds = server_timeout.total_seconds()
        self._servers = Servers([Server(*one) for one in hosts_of(conninfo).items()])
        self._routing = Routing(self._servers, patience.total_seconds(), timeout.total_seconds())
        self._default = demand(max_lag, None)

    def metrics(self) -> list[ServerMetrics]:
        """Return what each server was asked, in the order of the connection string."""
        return [server.metrics() for server in self._servers.all]


def demand(max_lag: timedelta | None, after: Position | None) -> Demand:
    """Check what a read asks for."""
    if max_lag is not None and max_lag < timedelta(0):
        raise ValueError(f"max_lag is {max_lag}: give a span of time, or None")
    return Demand(None if max_lag is None else max_lag.total_seconds(), after)


def pool_options(connections: int, seconds: float) -> dict[str, Any]:
    """Return what pools of both kinds are made with."""
    return {
        "min_size": 0,
        "max_size": connections,
        # one that cannot be reached is asked again by whoever needs it
        "reconnect_timeout": 0,
        "kwargs": {
            "autocommit": True,
            "client_encoding": "UTF8",
            "connect_timeout": max(2, ceil(seconds)),
        },
        "open": False,
    }


def is_full(stats: dict[str, int]) -> bool:
    """Say whether a pool has all of its connections, and none to lend."""
    return stats["pool_size"] >= stats["pool_max"] and not stats["pool_available"]


def noted(servers: Servers, server: Server, state: State) -> bool:
    """Take note of what a server said; say whether its answers count."""
    try:
        servers.note(server, state)
    except WrongServerError as error:
        server.failed(error)
        return False
    server.breaker.succeeded()
    return True
