"""Contracts' sizes, by which a reader compares contracts with the quantity in the base."""

from typing import TYPE_CHECKING, Any

import psycopg

from entasis_db.cursors import Cursor
from entasis_db.readers import TradeReader

if TYPE_CHECKING:
    from entasis_db.ingest.parts import AnyReader


def tell_contract_size(connection: psycopg.Connection[Any], reader: "AnyReader") -> None:
    """Give a reader of contracts the size that is on record, or that the exchange documents."""
    if not isinstance(reader, TradeReader) or reader.contracts_of is None:
        return
    exchange, symbol = reader.contracts_of
    with Cursor(connection) as cursor:
        cursor.execute(
            """
            SELECT coalesce(m.contract_size, k.contract_size)
            FROM entasis_internal.known_instrument(%(symbol)s, %(exchange)s) AS k
            LEFT JOIN entasis.markets AS m
                ON m.symbol OPERATOR(pg_catalog.=) %(symbol)s
                    AND m.exchange OPERATOR(pg_catalog.=) %(exchange)s
            """,
            {"symbol": symbol, "exchange": exchange},
        )
        row = cursor.fetchone()
    assert row is not None
    reader.contract_size = row[0]
