"""Connections of pools: bounded where a server must say how it is, and telling of failures.

psycopg asks a generator what to wait for, and tells it now and then that nothing has come yet.
"""

from collections.abc import Callable
from typing import Any, Self

import psycopg

from entasis_db.cursors import AsyncCursor, Cursor
from entasis_db.replicas.positions import STATE, State, now, state_of

Failed = Callable[[BaseException], None]


def _until(gen: Any, deadline: float) -> Any:
    """Pass on what a generator waits for; psycopg.OperationalError at a deadline."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and now() >= deadline:
                raise psycopg.OperationalError("it does not answer in time")
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value


class _Bounded:
    """What both kinds of connection have in common."""

    deadline: float | None = None
    """When a statement fails that has no answer yet."""

    def bounded(self, gen: Any) -> Any:
        return gen if self.deadline is None else _until(gen, self.deadline)


class Session(_Bounded, psycopg.Connection[Any]):
    """A connection for threads."""

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Wait for a generator, until the deadline at the most."""
        return super().wait(self.bounded(gen), *args, **options)


class AsyncSession(_Bounded, psycopg.AsyncConnection[Any]):
    """A connection for an event loop."""

    async def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Wait for a generator, until the deadline at the most."""
        return await super().wait(self.bounded(gen), *args, **options)


def session_class(failed: Failed) -> type[Session]:
    """Return a class of connections that tells of those that cannot be made."""

    class Told(Session):
        @classmethod
        def connect(cls, conninfo: str = "", **options: Any) -> Self:
            try:
                return super().connect(conninfo, **options)
            except psycopg.Error as error:
                failed(error)
                raise

    return Told


def async_session_class(failed: Failed) -> type[AsyncSession]:
    """Return what ``session_class`` does."""

    class Told(AsyncSession):
        @classmethod
        async def connect(cls, conninfo: str = "", **options: Any) -> Self:
            try:
                return await super().connect(conninfo, **options)
            except psycopg.Error as error:
                failed(error)
                raise

    return Told


def ask(connection: Session, seconds: float) -> State:
    """Ask a server how it is. Raises psycopg.Error, also when it does not answer in time."""
    moment = now()
    connection.deadline = moment + seconds
    try:
        with Cursor(connection) as cursor:
            return state_of(moment, cursor.execute(STATE).fetchone())
    except psycopg.OperationalError:
        connection.close()
        raise
    finally:
        connection.deadline = None


async def ask_async(connection: AsyncSession, seconds: float) -> State:
    """Ask what ``ask`` does."""
    moment = now()
    connection.deadline = moment + seconds
    try:
        async with AsyncCursor(connection) as cursor:
            await cursor.execute(STATE)
            return state_of(moment, await cursor.fetchone())
    except psycopg.OperationalError:
        await connection.close()
        raise
    finally:
        connection.deadline = None
