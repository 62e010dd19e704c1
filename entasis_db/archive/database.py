"""Asking the database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.rows import tuple_row

_PAUSE = 0.1  # s


def rows(connection: psycopg.Connection[Any], query: str, *values: object) -> list[Any]:
    """Fetch rows as tuples, whatever the connection's own row factory is."""
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        return cursor.execute(query.encode(), values or None).fetchall()


@contextmanager
def meanwhile(connection: psycopg.Connection[Any], query: str, *values: object) -> Iterator[None]:
    """Run a query while the block runs, which leaves the connection alone; raise what it raises."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(rows, connection, query, *values)
        try:
            yield
        except BaseException:
            # again, as it may not have begun yet
            while not answer.done():
                with suppress(psycopg.Error):
                    connection.cancel_safe()
                wait([answer], _PAUSE)
            raise
        answer.result()
