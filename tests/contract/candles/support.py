"""What the tests of candles share."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from tests import oracle
from tests.engines import Database

Connection = psycopg.Connection[Any]

MONTHS = (datetime(2024, 10, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC))

MICROSECOND = timedelta(microseconds=1)

ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin")

Trade = tuple[int, str, str, datetime, Decimal, Decimal]

TRADE_COLUMNS = "id, symbol, exchange, timestamp, price, volume"


def insert(connection: Connection, *rows: Trade) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO entasis.market_data ({TRADE_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)",
            rows,
        )


def trade(time: datetime, trade_id: int = 1, price: str = "10", volume: str = "1") -> Trade:
    return (trade_id, "BTC", "one", time, Decimal(price), Decimal(volume))


def empty(connection: Connection, database: Database) -> None:
    """Take away all trades, and whatever candles a failed example left behind."""
    connection.execute("DELETE FROM entasis.market_data")
    oracle.refresh(connection)
    if database.can("candle_tables"):
        for level in oracle.STORED:
            connection.execute(f"DELETE FROM entasis.ohlcv_{level}")
