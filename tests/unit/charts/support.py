"""Charts to draw."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from entasis_db.charts import Chart, of_candles
from entasis_db.queries import Candle

START = datetime(2024, 8, 8, 12, tzinfo=UTC)
EVIL = '</script><img src=x onerror="console.error(1)"><!--<script>&$x_1$\u202e'


def candle(minute: int, price: str, close: str | None = None) -> Candle:
    opened, closed = Decimal(price), Decimal(close or price)
    high, low = max(opened, closed) + 1, min(opened, closed) - 1
    volume = Decimal("0.1") + minute
    bucket = START + timedelta(minutes=minute)
    quote = volume * opened
    return Candle(
        EVIL, "x", bucket, opened, high, low, closed, volume, quote, 3, None, None, None, None
    )


def with_gap() -> Chart:
    """Forty minutes that rise and forty that fall, with twenty between them of no trade."""
    rise = [candle(n, f"{100 + n}.123456789012345678", f"{101 + n}.5") for n in range(40)]
    fall = [candle(n, f"{200 - n}", f"{199 - n}") for n in range(60, 100)]
    return of_candles(EVIL, rise + fall, "1m")
