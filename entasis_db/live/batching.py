"""When rows become a batch, and which rows are not known to be stored: rules without any I/O."""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

from entasis_db.ingest import IngestReport
from entasis_db.live.metrics import WriterMetrics
from entasis_db.live.unreadable import Unreadable
from entasis_db.model import OptionQuote, Trade

Row = Trade | OptionQuote | Unreadable


class Batching:
    """The queue of a writer: what is accepted, what is due, and what became of it.

    A batch is due when it has ``batch_rows`` rows, when its oldest row is half of ``max_age`` old,
    or when somebody waits for it. Its rows stay in the queue until they are settled, because until
    then they still take memory and may have to be handed back.

    It knows no threads and no clock: its caller holds a lock, and says what time it is, in seconds.
    """

    def __init__(self, batch_rows: int, max_age: timedelta, max_queued: int) -> None:
        self.max_queued = max_queued
        self.settled = 0
        """Rows that have left the queue."""
        self.draining = False
        """Whether whatever is queued is due, because no more will come."""
        self.retries = 0
        self.last_error: str | None = None
        self._batch_rows = min(batch_rows, max_queued)
        self._linger = max_age.total_seconds() / 2
        self._queue: deque[tuple[float, Row]] = deque()
        self._awaited = 0
        self._report = IngestReport()

    def __len__(self) -> int:
        """Return how many rows are queued."""
        return len(self._queue)

    def has_room(self) -> bool:
        """Say whether another row may be accepted."""
        return len(self._queue) < self.max_queued

    def accept(self, row: Row, now: float) -> bool:
        """Take a row; say whether that may change when the next batch is due."""
        self._queue.append((now, row))
        return len(self._queue) in (1, self._batch_rows)

    def await_all(self) -> int:
        """Make what is queued due; return what ``settled`` will have reached when it is settled."""
        self._awaited = max(self._awaited, self.settled + len(self._queue))
        return self._awaited

    def due_in(self, now: float) -> float | None:
        """Return in how many seconds the next batch is due, 0 for now; None while nothing is."""
        if not self._queue:
            return None
        if self.draining or len(self._queue) >= self._batch_rows or self._awaited > self.settled:
            return 0
        return max(0, self._queue[0][0] + self._linger - now)

    def batch(self) -> list[Row]:
        """Return the rows of the next batch, in the order in which they were accepted."""
        return [row for _, row in islice(self._queue, self._batch_rows)]

    def settle(self, batch: Sequence[Row], report: IngestReport) -> None:
        """Take the rows of a batch, which are stored or in quarantine, out of the queue."""
        for _ in batch:
            self._queue.popleft()
        self.settled += len(batch)
        self._report += report

    def hand_back(self) -> list[Row]:
        """Take all rows out of the queue and return them: they are not known to be stored."""
        rows = [row for _, row in self._queue]
        self._queue.clear()
        self.settled += len(rows)
        return rows

    def failed(self, error: BaseException) -> None:
        """Count an attempt that will be repeated."""
        self.retries += 1
        self.last_error = " ".join(str(error).split())

    def metrics(self, now: float) -> WriterMetrics:
        """Return how the writer is doing."""
        lag = now - self._queue[0][0] if self._queue else 0.0
        return WriterMetrics(
            queued=len(self._queue),
            written=self._report.inserted,
            already_there=self._report.already_there,
            quarantined=self._report.quarantined,
            past_retention=self._report.past_retention,
            past_keep=self._report.past_keep,
            rounded=self._report.rounded,
            nulled=self._report.nulled,
            lag=timedelta(seconds=lag),
            retries=self.retries,
            last_error=self.last_error,
        )
