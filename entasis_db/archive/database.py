"""Asking the database."""

from typing import Any

import psycopg
from psycopg.rows import tuple_row


def rows(connection: psycopg.Connection[Any], query: str, *values: object) -> list[Any]:
    """Fetch rows as tuples, whatever the connection's own row factory is."""
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        return cursor.execute(query.encode(), values or None).fetchall()
