"""What needs a session of its own finds a pooler or a replica, before it sets or locks anything."""

from typing import Any

import psycopg

from entasis_db.cursors import Cursor
from entasis_db.errors import SessionError

_ASK = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery()"


def require_own_session(
    connection: psycopg.Connection[Any], what: str, *, session_pooler: bool = False
) -> None:
    """Raise SessionError unless ``connection`` is a session of its own, on a primary.

    A pooler tells its clients another number of the backend than the server's. ``session_pooler``
    says that the one in front keeps a server's session for each client (pool_mode = session).
    """
    with Cursor(connection) as cursor:
        row = cursor.execute(_ASK).fetchone()
    assert row is not None
    backend, in_recovery = row
    if in_recovery:
        raise SessionError(
            f"{what} cannot work on a server in recovery, a replica: connect to its primary "
            "(in a connection string of several hosts, add target_session_attrs=read-write)"
        )
    if backend != connection.info.backend_pid and not session_pooler:
        raise SessionError(
            f"{what} needs a session of its own, and this connection goes through a pooler: "
            "connect to PostgreSQL itself. Where the pooler keeps a session for each client "
            "(pool_mode = session), --session-pooler says so, in Python session_pooler=True"
        )
