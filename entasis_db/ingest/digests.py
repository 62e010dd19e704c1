"""Markets whose ids are digests of text: a file may begin with ids that look like integers."""

from typing import TYPE_CHECKING, Any

import psycopg

from entasis_db.cursors import Cursor
from entasis_db.readers import TradeReader

if TYPE_CHECKING:
    from entasis_db.ingest.parts import AnyReader


def tell_digests(connection: psycopg.Connection[Any], reader: "AnyReader") -> None:
    """Give a reader of trades the markets that are on record for digests."""
    if not isinstance(reader, TradeReader):
        return
    with Cursor(connection) as cursor:
        cursor.execute(
            "SELECT exchange, symbol FROM entasis.markets"
            " WHERE id_space OPERATOR(pg_catalog.=) 'digest'"
        )
        reader.digests = frozenset(cursor.fetchall())
