"""Which server a connection leads to, and whether what it answers may be kept.

Keys in Redis begin with the server's identity: the database system, the database, and when the
server was started. A copy that was restored from a backup has the system identifier of its primary,
and one that was cloned its timeline too, but it was started at another moment. Nothing is lost by
it: caches empty Redis after a restart anyway, because none has heard all that was committed.

Values are kept only from the server that the listener listens to: a replica, or a primary that was
replaced, answers what was true some time ago.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import psycopg

from entasis_db.cursors import AsyncCursor, Cursor

# the last is another than the client knows behind a pooler
_IDENTITY = """
    SELECT pg_catalog.concat_ws(
            '.', s.system_identifier, d.oid,
            (
                extract(EPOCH FROM pg_catalog.pg_postmaster_start_time())
                OPERATOR(pg_catalog.*) 1000000::pg_catalog.numeric
            )::pg_catalog.int8
        ),
        pg_catalog.pg_is_in_recovery(),
        pg_catalog.pg_backend_pid()
    FROM pg_catalog.pg_control_system() AS s, pg_catalog.pg_database AS d
    WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
"""

AnyConnection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]


def identity_of(connection: psycopg.Connection[Any]) -> str:
    """Return which database of which server, since when, a connection leads to."""
    with Cursor(connection) as cursor:
        row = cursor.execute(_IDENTITY).fetchone()
    assert row is not None
    return str(row[0])


class Servers:
    """The servers that the connections of a pool lead to."""

    def __init__(self, *, session_pooler: bool) -> None:
        self._session_pooler = session_pooler
        self._identities: WeakKeyDictionary[AnyConnection, str] = WeakKeyDictionary()

    def note(self, connection: psycopg.Connection[Any]) -> None:
        """Ask a new connection where it leads; nothing that it answers is kept if it may not say.

        Raises psycopg.OperationalError when the connection is lost.
        """
        with _not_told(), Cursor(connection) as cursor:
            self._note(connection, cursor.execute(_IDENTITY).fetchone())

    async def note_async(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Do what ``note`` does."""
        with _not_told():
            async with AsyncCursor(connection) as cursor:
                await cursor.execute(_IDENTITY)
                self._note(connection, await cursor.fetchone())

    def is_heard(self, connection: AnyConnection, listened_to: str | None) -> bool:
        """Say whether what a connection answers may be kept.

        ``listened_to`` is the identity of the server whose notifications are heard.
        """
        return listened_to is not None and self._identities.get(connection) == listened_to

    def _note(self, connection: AnyConnection, row: tuple[Any, ...] | None) -> None:
        assert row is not None
        found, in_recovery, backend = row
        # behind a pooler that shares sessions, the next answer may be another server's
        own = backend == connection.info.backend_pid or self._session_pooler
        # a server that is not in recovery comes to be only by a restart, which ends the connection
        if own and not in_recovery:
            self._identities[connection] = found


@contextmanager
def _not_told() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError:
        raise
    except psycopg.DatabaseError:
        pass  # such as a right that was revoked
