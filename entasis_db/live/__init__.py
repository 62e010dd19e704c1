"""Programs that stream: a writer that loses nothing that it accepted.

    from entasis_db.live import AsyncTickWriter

    async with AsyncTickWriter(dsn, source="my collector", id_space="trade") as writer:
        await writer.put(trade)

TickWriter is the same for threads. ``entasis_db.live.cryptofeed`` feeds either from cryptofeed's
callbacks.
"""

from entasis_db.live.metrics import WriterMetrics
from entasis_db.live.unreadable import Unreadable
from entasis_db.live.writer import TickWriter
from entasis_db.live.writer_async import AsyncTickWriter

__all__ = ["AsyncTickWriter", "TickWriter", "Unreadable", "WriterMetrics"]
