"""Reading in a thread: while the server works on one batch, the next one is being parsed."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

_READ_AHEAD = 2  # batches in memory beside the one that is being written

T = TypeVar("T")


@contextmanager
def read_ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """Iterate in a thread of its own, which ends with the block."""
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_READ_AHEAD)
    stopped = threading.Event()

    def put(entry: tuple[T | None, BaseException | None]) -> None:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((None, None))
        except BaseException as fault:  # noqa: BLE001 - it is raised in the caller's thread
            put((None, fault))

    def received() -> Iterator[T]:
        while True:
            item, fault = ready.get()
            if fault is not None:
                raise fault
            if item is None:
                return
            yield item

    thread = threading.Thread(target=read, name="entasis-read-ahead", daemon=True)
    thread.start()
    try:
        yield received()
    finally:
        stopped.set()
        thread.join()
