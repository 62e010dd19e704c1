"""What the tests of candles share."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

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
