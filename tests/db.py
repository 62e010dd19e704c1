"""Small look-ups and statements that many tests share."""

from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]


def wipe(connection: Connection) -> None:
    """Delete what was ingested."""
    for relation in ("market_data", "option_data", "quarantine", "markets"):
        connection.execute(sql.SQL("DELETE FROM entasis.{}").format(sql.Identifier(relation)))
