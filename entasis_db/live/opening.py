"""The connection of a writer, and waiting for a server that is not up yet."""

import logging
import time
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.live.retries import pauses

_log = logging.getLogger("entasis_db.live")

CONNECT_TIMEOUT = 10
# A server that is gone without a word must not be waited for: seconds, but for the last, in ms.
_CONNECTION: dict[str, int] = {
    "connect_timeout": CONNECT_TIMEOUT,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# What no waiting mends; libpq gives no code of an error that comes before the session. In another
# language than English, it is waited for to no avail, and shown in the end.
_MISTAKES = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "not permitted to log in",
    "permission denied for database",
    "server does not support SSL",
)


def connect(conninfo: str) -> psycopg.Connection[Any]:
    """Connect in autocommit mode. Raises psycopg.Error."""
    # a name may be in any script
    settings = {**_CONNECTION, **conninfo_to_dict(conninfo), "client_encoding": "UTF8"}
    # a pooler may answer each transaction with another session, which lacks what was prepared
    return psycopg.connect(make_conninfo("", **settings), autocommit=True, prepare_threshold=None)


def wait_for_server(conninfo: str, source: str, patience: timedelta) -> psycopg.Connection[Any]:
    """Connect, trying again for so long while the server is not up.

    Raises psycopg.Error: the last one, or at once one that would stay.
    """
    until = time.monotonic() + patience.total_seconds()
    told = False
    for pause in pauses():
        try:
            connection = connect(conninfo)
        except psycopg.OperationalError as error:
            left = until - time.monotonic()
            if left <= 0 or _is_mistake(str(error)):
                raise
            if not told:
                told = True
                said = " ".join(str(error).split())
                _log.warning("%s: waiting up to %s for the server: %s", source, patience, said)
            time.sleep(min(pause, left))
        else:
            if told:
                _log.warning("%s: the server is up", source)
            return connection
    raise AssertionError("there is always another pause")


def _is_mistake(said: str) -> bool:
    # a database or a role; a socket that is not there yet comes with its server
    missing = "does not exist" in said and "FATAL" in said
    return missing or any(each in said for each in _MISTAKES)
