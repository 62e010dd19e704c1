"""What the tests of candles share."""

from datetime import UTC, datetime
from decimal import Decimal

from entasis_db.model import Trade
from tests import make, oracle
from tests.db import Connection
from tests.engines import Database

MONTHS = (datetime(2024, 10, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC))


ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin")


TRADE_COLUMNS = "id, symbol, exchange, timestamp, price, volume, side, source_id, excluded"


def trade(time: datetime, trade_id: int = 1, price: str = "10", volume: str = "1") -> Trade:
    """Make a trade of one and the same market."""
    return make.trade(
        trade_id, exchange="one", timestamp=time, price=Decimal(price), volume=Decimal(volume)
    )


def make_months(connection: Connection) -> None:
    """Make the partitions of MONTHS."""
    connection.execute("SELECT entasis.ensure_partitions('market_data', %s, %s)", MONTHS)


def empty(connection: Connection, database: Database) -> None:
    """Take away all trades, and whatever candles a failed example left behind."""
    connection.execute("DELETE FROM entasis.market_data")
    oracle.refresh(connection)
    if database.can("candle_tables"):
        for level in oracle.STORED:
            connection.execute(f"DELETE FROM entasis.ohlcv_{level}")
