"""Connections to Redis that wait for their next use."""

import os
from collections import deque
from typing import Any

from entasis_db.extras import extra

with extra("cache"):
    from redis.exceptions import RedisError


class _Idle:
    """A client's idle connections; the client's own pool makes them, and disconnects them all.

    To take one from that pool and give it back costs as much as a command, most of it for counts.
    From here it takes one question to the system: whether there is anything to be read. If there
    is, the server has closed the connection, or what comes next would be taken for another answer.
    """

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self._idle: deque[Any] = deque()
        self._process = os.getpid()

    def give_back(self, connection: Any) -> None:
        """Keep a connection on which every answer was read."""
        self._idle.append(connection)

    def _last(self) -> Any | None:
        if self._process != os.getpid():
            # a fork has copies of its parent's
            self._idle.clear()
            self._process = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return None


class Connections(_Idle):
    """Those of threads."""

    def take(self) -> Any:
        """Take a connection that answers what it is asked next. Raises RedisError, OSError."""
        connection = self._last()
        if connection is not None:
            try:
                if not connection.can_read():
                    return connection
            except (RedisError, OSError):
                pass
            self.discard(connection)
        return self.pool.get_connection()

    def discard(self, connection: Any) -> None:
        """Disconnect, as an answer may still be on its way."""
        connection.disconnect()
        self.pool.release(connection)


class AsyncConnections(_Idle):
    """Those of an event loop."""

    async def take(self) -> Any:
        """Take a connection, as Connections does."""
        connection = self._last()
        if connection is not None:
            # the name was another one before redis 8
            can_read = getattr(connection, "can_read", None) or connection.can_read_destructive
            try:
                if not await can_read():
                    return connection
            except (RedisError, OSError):
                pass
            await self.discard(connection)
        return await self.pool.get_connection()

    async def discard(self, connection: Any) -> None:
        """Disconnect, as an answer may still be on its way."""
        await connection.disconnect(nowait=True)
        await self.pool.release(connection)
