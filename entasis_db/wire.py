"""What threads that own a connection need beside psycopg."""

import socket
from contextlib import suppress
from typing import Any

import psycopg


def cut(connection: psycopg.Connection[Any]) -> None:
    """End a connection under another thread that waits for it, however dead the server is.

    That thread gets an OperationalError. Closing the connection itself would pull it away from
    under a call that uses it.
    """
    # gone already is as good
    with (
        suppress(OSError, psycopg.Error),
        socket.socket(fileno=socket.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)
