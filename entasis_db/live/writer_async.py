"""The writer for an event loop."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from entasis_db.ingest import IdSpace, TimeUnits
from entasis_db.live.metrics import WriterMetrics
from entasis_db.live.unreadable import Unreadable
from entasis_db.live.writer import TickWriter
from entasis_db.model import OptionQuote, Trade


class AsyncTickWriter:
    """Takes rows one by one in an event loop and stores them in batches, as TickWriter does.

    Its promises and its arguments are those of TickWriter, whose thread it uses: no query holds up
    the event loop. Use it in an ``async with`` statement.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        source: str,
        id_space: IdSpace,
        time_unit: TimeUnits | None = None,
        batch_rows: int = 10_000,
        max_age: timedelta = timedelta(milliseconds=250),
        max_queued: int = 50_000,
        close_timeout: timedelta = timedelta(seconds=30),
        open_timeout: timedelta = timedelta(0),
    ) -> None:
        """Make a writer; the arguments are those of TickWriter."""
        self._writer = TickWriter(
            conninfo,
            source=source,
            id_space=id_space,
            time_unit=time_unit,
            batch_rows=batch_rows,
            max_age=max_age,
            max_queued=max_queued,
            close_timeout=close_timeout,
            open_timeout=open_timeout,
        )
        self._progress = asyncio.Event()

    async def open(self) -> None:
        """Connect and begin to write. Raises as TickWriter.open does."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed, and nothing in it waits
                loop.call_soon_threadsafe(self._progress.set)

        self._writer._on_progress = wake
        await asyncio.to_thread(self._writer.open)

    async def put(self, row: Trade | OptionQuote | Unreadable) -> None:
        """Accept one row; wait for room while ``max_queued`` rows are in memory.

        Raises as TickWriter.put does. A put that is cancelled while it waits was not accepted.
        """
        while not self._writer.offer(row):
            self._progress.clear()
            # a commit before the clear would never be noticed
            if self._writer.offer(row):
                return
            await self._progress.wait()

    async def flush(self, timeout: timedelta | None = None) -> None:
        """Wait until every row accepted before is committed. Raises as TickWriter.flush does."""
        await asyncio.to_thread(self._writer.flush, timeout)

    async def close(self, timeout: timedelta | None = None) -> None:
        """Accept no more, write what is queued, and end. Raises as TickWriter.close does."""
        await asyncio.to_thread(self._writer.close, timeout)

    def metrics(self) -> WriterMetrics:
        """Return how the writer is doing now."""
        return self._writer.metrics()

    async def __aenter__(self) -> Self:
        """Open the writer."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the writer: what was accepted is written, also when the caller's block failed."""
        closing = asyncio.ensure_future(self.close())
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            # however often it is cancelled, it waits for the rows
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as request:
                cancelled = request
        closing.result()
        if cancelled is not None:
            raise cancelled
