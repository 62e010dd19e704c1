"""Programs that stream: a writer that loses nothing that it accepted.

    from entasis_db.live import TickWriter

    async with TickWriter(dsn, source="my collector", id_space="trade") as writer:
        await writer.put(trade)

``entasis_db.live.cryptofeed`` feeds it from cryptofeed's callbacks.
"""

from entasis_db.live.writer import SyncTickWriter, TickWriter, WriterMetrics

__all__ = ["SyncTickWriter", "TickWriter", "WriterMetrics"]
