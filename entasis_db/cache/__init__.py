"""Candles, latest prices and option chains, read through memory and Redis or Valkey, never wrong.

    from entasis_db import queries
    from entasis_db.cache import Cache

    with Cache(dsn, "redis://localhost") as cache:
        candles = queries.candles("BTCUSDT", "binance-spot", "1m", start, end).fetch(cache)

A cache stands wherever a query takes a connection. It needs the extra ``entasis-db[cache]``.
"""

from entasis_db.cache.core import CacheMetrics
from entasis_db.cache.faces import AsyncCache, Cache
from entasis_db.cache.policy import CachePolicy, Refresh

__all__ = ["AsyncCache", "Cache", "CacheMetrics", "CachePolicy", "Refresh"]
