"""Candles, latest prices and option chains, read through memory and Redis or Valkey.

    from entasis_db import queries
    from entasis_db.cache import Cache

    with Cache(dsn, "redis://localhost") as cache:
        candles = queries.candles("BTCUSDT", "binance-spot", "1m", start, end).fetch(cache)

A cache takes the place of a connection in a query. A read is no older than ``max_silence``, 5 s by
default: docs/cache.md says what else bounds it on engine ``timescaledb``. It needs the extra
``entasis-db[cache]``.
"""

from entasis_db.cache.cache import Cache
from entasis_db.cache.cache_async import AsyncCache
from entasis_db.cache.metrics import CacheMetrics
from entasis_db.cache.policy import CachePolicy, Refresh

__all__ = ["AsyncCache", "Cache", "CacheMetrics", "CachePolicy", "Refresh"]
