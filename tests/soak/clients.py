"""Clients that die, or bring down the server, at a drawn exchange, and clients that take turns."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any

import psycopg

from tests.db import Connection, KilledError

OWN = "soak"
"""Name of the connections that only look on."""
_STUCK = 60.0
"""Seconds after which clients that wait for each other are a fault."""


def dying(kill_at: int, kill: Callable[[], None] | None = None) -> type[Connection]:
    """Make a connection that is lost right before its exchange of that number with the server.

    With ``kill``, that is called instead: it brings the server down under the client.
    """
    count = 0

    class Dying(psycopg.Connection[Any]):
        def wait(self, *args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == kill_at and not self.closed:
                if kill is None:
                    self.pgconn.finish()
                else:
                    kill()
            if count >= kill_at and kill is None:
                raise KilledError
            return super().wait(*args, **kwargs)

    return Dying


class Turn:
    """One of several clients: it waits before each exchange with the server until it may go on."""

    def __init__(self, run: Callable[["Turn"], Any]) -> None:
        self._changed = threading.Condition()
        self.waiting = False
        self.granted = 0
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.pid = 0
        self._run = run
        self._thread = threading.Thread(target=self._go, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _go(self) -> None:
        try:
            self.result = self._run(self)
        except BaseException as error:  # noqa: BLE001 - the scheduler looks at it
            self.error = error
        with self._changed:
            self.done = True
            self._changed.notify_all()

    def before_exchange(self, pid: int) -> None:
        """Wait for the turn; called in the client's thread."""
        with self._changed:
            self.pid = pid
            self.waiting = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self.granted > 0, _STUCK):
                raise TimeoutError("nobody gave this client its turn")
            self.granted -= 1
            self.waiting = False

    def grant(self) -> None:
        """Let it make one exchange."""
        with self._changed:
            self.granted += 1
            self.waiting = False
            self._changed.notify_all()

    def settled(self, timeout: float) -> bool:
        """Wait until it waits for its turn or has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self.waiting or self.done, timeout)

    def kind(self) -> type[Connection]:
        """Make the kind of connection that takes its turns."""
        turn = self

        class Taking(psycopg.Connection[Any]):
            def wait(self, *args: Any, **kwargs: Any) -> Any:
                turn.before_exchange(self.info.backend_pid)
                return super().wait(*args, **kwargs)

        return Taking


def take_turns(
    turns: Sequence[Turn],
    order: Sequence[int],
    observer: Connection,
    halfway: Callable[[], None] | None = None,
) -> None:
    """Let clients go on one exchange at a time, in the order drawn, until all have ended.

    One that waits for a lock is passed over. ``halfway`` is called after some exchanges.
    """
    for turn in turns:
        turn.start()
    drawn = iter(order)
    until = monotonic() + _STUCK
    exchanges = 0
    while not all(turn.done for turn in turns):
        if exchanges == 5 and halfway is not None:
            halfway()
        exchanges += 1
        if monotonic() > until:
            raise AssertionError("clients wait for each other, or for a lock that nobody releases")
        for turn in turns:
            _await(turn, observer)
        ready = [turn for turn in turns if turn.waiting]
        if not ready:
            threading.Event().wait(0.005)
            continue
        ready[next(drawn, 0) % len(ready)].grant()


def _await(turn: Turn, observer: Connection) -> None:
    """Wait until a client has come to its next exchange, has ended, or waits for a lock."""
    for _ in range(400):
        if turn.settled(0.003):
            return
        row = observer.execute(
            "SELECT cardinality(pg_blocking_pids(%s)) > 0", [turn.pid]
        ).fetchone()
        if row == (True,) and not turn.settled(0.005):
            return


@contextlib.contextmanager
def time_limit(dsn: str, seconds: float) -> Iterator[None]:
    """Take the connections away from a step that does not end, and say what they were doing."""
    seen: list[str] = []

    def interrupt() -> None:
        with psycopg.connect(dsn, autocommit=True, application_name=OWN) as connection:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            seen.append("the step did not end")
            seen.extend(
                f"{state}, waiting for {wait}: {query}"
                for state, wait, query in connection.execute(
                    "SELECT state, coalesce(wait_event, 'nothing'), left(query, 300)"
                    f" FROM pg_stat_activity WHERE {others}"
                )
            )
            # again and again: a loop may open another connection
            while not ended.wait(0.5):
                connection.execute(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
                )

    ended = threading.Event()
    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if seen:
            raise AssertionError("\n    ".join(seen)) from error
        raise
    finally:
        ended.set()
        timer.cancel()


def wait_for_the_dead(observer: Connection) -> None:
    """Wait until the server has noticed that clients other than the soak's own are gone."""
    for _ in range(1500):
        row = observer.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND application_name <> %s",
            [OWN],
        ).fetchone()
        if row == (0,):
            return
        threading.Event().wait(0.01)
    raise AssertionError("the server still has the dead connection")
