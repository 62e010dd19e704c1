"""Reads over a primary and its replicas, none older than was asked for; writes go to the primary.

    from entasis_db import queries
    from entasis_db.replicas import Replicas

    with Replicas("postgresql://a,b,c/entasis") as replicas:
        with replicas.primary() as connection:
            ...  # write
            token = replicas.written(connection)
        queries.latest_price("BTCUSDT", "binance-spot").one(replicas.reading(after=token))

Replicas takes the place of a connection in a query: docs/operations/replicas.md. It needs the extra
``entasis-db[replicas]``.
"""

from entasis_db.replicas.metrics import ServerMetrics
from entasis_db.replicas.positions import Position
from entasis_db.replicas.reading import Reading
from entasis_db.replicas.reading_async import AsyncReading
from entasis_db.replicas.replicas import Replicas
from entasis_db.replicas.replicas_async import AsyncReplicas

__all__ = ["AsyncReading", "AsyncReplicas", "Position", "Reading", "Replicas", "ServerMetrics"]
