"""What a cache would hold: it reads again what a notification names, as soon as it arrives."""

import contextlib
import json
import threading
from typing import Any

import psycopg

from entasis_db.cache.listener import listen, writers
from tests import oracle
from tests.oracle import LEVELS, bucket
from tests.soak import state as states
from tests.soak.checks import same
from tests.soak.clients import OWN
from tests.soak.model import Values

Piece = tuple[str, str, int, int]
"""Symbol, exchange, first and last minute, in seconds since 1970."""


class Probe:
    """Listens as a cache does, and holds a copy of all that readers may see."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self.trades: dict[Any, Values] = {}
        self.candles: dict[str, oracle.Candles] = {level: {} for level in LEVELS}
        self.heard: list[Any] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self._ready.wait(30)

    def start_late(self) -> None:
        """Begin to listen beside writers who saw no listener, and which it has to wait for."""
        self._thread.start()
        self._ready.wait(0.05)

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            with (
                psycopg.connect(self._dsn, autocommit=True, application_name=OWN) as listening,
                psycopg.connect(self._dsn, autocommit=True, application_name=OWN) as reading,
            ):
                listen(listening)
                before = writers(listening)
                while before:
                    before &= writers(listening)
                self._read(reading, None)
                self._ready.set()
                while not self._stopped.is_set():
                    with self._lock:
                        for notification in listening.notifies(timeout=0.02, stop_after=1):
                            self._hear(reading, notification.payload)
                    listening.execute("SELECT")
        except BaseException as fault:  # noqa: BLE001 - the server may have been killed
            self._fault = fault
            self._ready.set()

    def settle(self) -> bool:
        """Wait until everything that was sent has been heard; False if it has lost the server."""
        self._ready.wait(60)
        if self._fault is not None:
            return False
        token = f"token {id(object())} {len(self.heard)}"
        with psycopg.connect(self._dsn, autocommit=True, application_name=OWN) as sender:
            sender.execute(
                "SELECT pg_notify(entasis_internal.cache_channel_name(), %s)",
                [json.dumps({"hello": token})],
            )
        for _ in range(3000):
            if {"hello": token} in self.heard:
                return True
            if self._fault is not None:
                return False
            threading.Event().wait(0.01)
        raise AssertionError("the notification of the test itself was not heard")

    def _hear(self, reading: psycopg.Connection[Any], payload: str) -> None:
        message = json.loads(payload)
        if message.get("everything"):
            self._read(reading, None)
        for piece in message.get("trades", ()):
            self._read(reading, tuple(piece))
        self.heard.append(message)

    def _read(self, reading: psycopg.Connection[Any], piece: Piece | None) -> None:
        with reading.transaction():
            reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            trades = _trades(reading)
            candles = oracle.stored_candles(reading)
        self.trades = _replaced(self.trades, trades, "1m", piece)
        for level in LEVELS:
            self.candles[level] = _replaced(self.candles[level], candles[level], level, piece)

    def check(self, now: "states.State") -> None:
        """Fail unless everything that changed was named by a notification after its commit."""
        same(self.trades, now.trades, "trades in a cache, which no notification evicted")
        for level in LEVELS:
            same(
                self.candles[level],
                now.candles[level],
                f"candles of ohlcv_{level} in a cache, which no notification evicted",
            )


def _trades(connection: psycopg.Connection[Any]) -> dict[Any, Values]:
    return {
        (symbol, exchange, states.utc(time), number): Values(*values)
        for symbol, exchange, time, number, *values in connection.execute(
            "SELECT symbol, exchange, timestamp, id, price, volume, side, excluded, source_id"
            " FROM entasis.market_data"
        )
    }


def _replaced(held: Any, found: Any, level: str, piece: Piece | None) -> Any:
    """Return what a cache holds after it has read a piece again."""
    if piece is None:
        return dict(found)

    def is_named(key: Any) -> bool:
        symbol, exchange, first, last = piece
        return bool(key[:2] == (symbol, exchange)) and (
            bucket(level, states.utc(_at(first)))
            <= bucket(level, key[2])
            <= bucket(level, states.utc(_at(last)))
        )

    kept = {k: v for k, v in held.items() if not is_named(k)}
    return kept | {k: v for k, v in found.items() if is_named(k)}


def _at(seconds: int) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC)


@contextlib.contextmanager
def listening(dsn: str) -> Any:
    """Lend a probe."""
    probe = Probe(dsn)
    probe.start()
    try:
        yield probe
    finally:
        probe.stop()
