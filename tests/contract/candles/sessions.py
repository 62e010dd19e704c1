"""Sessions that go on step by step, each in a thread of its own."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from psycopg import IsolationLevel, errors

from tests.db import Connection, is_blocked
from tests.engines import Database

Parameters = Sequence[Any] | Mapping[str, Any]

# what a caller answers by trying the transaction again
AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)


@contextmanager
def again() -> Iterator[None]:
    """Raise what a node of a cluster found at COMMIT as what it was: a conflict."""
    try:
        yield
    except errors.InternalError_ as error:
        if "could not commit transaction for shard" not in str(error):
            raise
        raise errors.SerializationFailure(str(error)) from error


class Session:
    """A connection whose statements run in a thread, so that one may wait for a lock."""

    def __init__(self, database: Database, observer: Connection) -> None:
        self.connection = database.connect(autocommit=False)
        self._observer = observer
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None
        self.failed = False

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None and not self._running.done():
            self.connection.cancel_safe()
        self._thread.shutdown()
        self.connection.close()

    def begin(self, level: IsolationLevel) -> None:
        self.connection.isolation_level = level
        self.failed = False

    def snapshot(self) -> None:
        """Take the snapshot that a transaction above READ COMMITTED keeps."""
        self.connection.execute("SELECT count(*) FROM entasis.market_data")

    def start(self, query: str, parameters: Parameters = ()) -> bool:
        """Start a statement; answer whether it waits for another session."""
        self._running = self._thread.submit(self._run, query, parameters)
        return self.waits()

    def _run(self, query: str, parameters: Parameters) -> None:
        self.connection.execute(query, parameters)

    def waits(self) -> bool:
        """Whether the statement is held up by a lock; when it has ended, take note of how."""
        while self._running is not None:
            done, _ = wait([self._running], timeout=0.003)
            if done:
                self.finish()
            elif self._blocked():
                # one that found itself in a deadlock is soon done
                done, _ = wait([self._running], timeout=0.005)
                if not done and self._blocked():
                    return True
        return False

    def _blocked(self) -> bool:
        # not its wait event, which it puts away only when it gets to run again
        return is_blocked(self._observer, self.connection)

    def finish(self) -> None:
        """Wait for the statement's end; only "try again" may come out of it."""
        if self._running is None:
            return
        done, _ = wait([self._running], timeout=30)
        assert done, "the statement still waits for another session"
        running, self._running = self._running, None
        try:
            running.result()
        except (*AGAIN, errors.UniqueViolation):
            # UniqueViolation: two sessions insert the same trade
            self.connection.rollback()
            self.failed = True

    def end(self, *, commit: bool = True) -> bool:
        """End the transaction; answer whether it was committed."""
        self.finish()
        if self.failed or not commit:
            self.connection.rollback()
            return False
        try:
            with again():
                self.connection.commit()
        except AGAIN:
            self.connection.rollback()
            return False
        return True
