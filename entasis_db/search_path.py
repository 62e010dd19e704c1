"""Names mean PostgreSQL's own objects, whoever may create others in a schema of the search path."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

_PATH = "pg_catalog, pg_temp"
_PIN = "SET search_path = pg_catalog, pg_temp"
_FORMER = "SELECT pg_catalog.current_setting('search_path'), pg_catalog.pg_backend_pid()"
_RESTORE = "SELECT pg_catalog.set_config('search_path', %s, false)"
_F = TypeVar("_F", bound=Callable[..., Any])


def pin(connection: psycopg.Connection[Any]) -> None:
    """Pin the search path of a new session of ours, before anything else is asked of it.

    Not behind a pooler, which would hand the setting on to others: its number of the session is
    another than the server's.
    """
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    if row is not None and row[0] == connection.info.backend_pid:
        connection.execute(_PIN)


@contextmanager
def pinned(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Pin the search path of a caller's session, and give it its own back.

    Behind a pooler it stays as it is, as ``pin`` says.
    """
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        row = cursor.execute(_FORMER).fetchone()
        assert row is not None
        former, backend = row
        if former == _PATH or backend != connection.info.backend_pid:
            yield
            return
        cursor.execute(_PIN)
    try:
        yield
    finally:
        # what fails in a transaction takes the setting back itself
        status = connection.info.transaction_status
        if not connection.closed and status != TransactionStatus.INERROR:
            with suppress(psycopg.OperationalError):  # the session has ended
                connection.execute(_RESTORE, [former])


def with_pinned_names(function: _F) -> _F:
    """Have a function pin the search path of its connection as long as it runs."""

    @wraps(function)
    def run(connection: psycopg.Connection[Any], *args: Any, **options: Any) -> Any:
        with pinned(connection):
            return function(connection, *args, **options)

    return cast(_F, run)
