"""Hearing of corrections: one connection, one thread, and a proof that nothing was missed.

The server tells what every committed statement touched, and only while somebody listens: a listener
holds advisory locks, by which writers see that there is one (see the function
entasis_internal.has_cache_listeners). A listener that has its locks has therefore heard of every
statement that commits from then on.

A connection may be dead without a sign. So the server is asked something every third of
``max_silence``; its answer comes after everything that it had to tell before. When the answers
stop, the cache stops believing itself, without anybody having to notice.
"""

import json
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from secrets import token_hex
from time import monotonic
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from redis import Redis
from redis.exceptions import RedisError

from entasis_db.cache.core import Core
from entasis_db.cache.shared import Names
from entasis_db.wire import cut

_log = logging.getLogger("entasis_db.cache")

CHANNEL = "entasis_cache"
# the same numbers stand in entasis_internal.has_cache_listeners
_LOCKS = 1163154259
# what a database has that tells of every change
_TELLS = "entasis_internal.candle_watermarks()"
_STORED = "SELECT relation, seconds FROM entasis_internal.candle_watermarks()"
_HANDSHAKE = 0.3  # s to wait for another process's word that it has listened all the time
_ACKNOWLEDGED = 10_000  # ms
_LONGEST_PAUSE = 5.0  # s between attempts to listen
_CONNECTION = {"connect_timeout": 5, "tcp_user_timeout": 5_000}


class _SilentError(Exception):
    """A database from which nothing would ever be heard."""


class Listener:
    """Hears of corrections and makes the layers forget what they concern."""

    def __init__(
        self, conninfo: str, core: Core, namespace: str | None, redis: Redis | None
    ) -> None:
        self._conninfo = conninfo
        self._core = core
        self._namespace = namespace
        self._redis = redis
        self._stopped = threading.Event()
        self._heard = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._warned = False
        self._greeting = ""
        self._thread = threading.Thread(target=self._run, name="entasis-cache", daemon=True)

    def start(self, timeout: float) -> None:
        """Begin; wait for so many seconds until the first notification could be heard."""
        self._thread.start()
        self._heard.wait(timeout)

    def stop(self) -> None:
        """End; nothing is believed any more."""
        self._stopped.set()
        self._core.heard_at = float("-inf")
        connection = self._connection
        if connection is not None:
            cut(connection)  # the thread may be waiting for a server that does not answer
        self._thread.join(timeout=2 * _CONNECTION["connect_timeout"])
        self._core.local.forget()

    def _run(self) -> None:
        pause = 0.05
        while not self._stopped.is_set():
            try:
                self._listen()
            except (psycopg.Error, _SilentError) as error:
                self._lost(error)
            self._stopped.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE) if not self._heard.is_set() else 0.05
            self._heard.clear()

    def _lost(self, error: Exception) -> None:
        core = self._core
        core.heard_at = float("-inf")
        core.local.forget()
        if not self._warned and not self._stopped.is_set():
            self._warned = True
            _log.warning(
                "notifications cannot be heard, every read goes to the database: %s",
                " ".join(str(error).split()),
            )

    def _listen(self) -> None:
        core = self._core
        settings = {**_CONNECTION, **conninfo_to_dict(self._conninfo)}
        settings["application_name"] = "entasis cache"
        with psycopg.connect(make_conninfo("", **settings), autocommit=True) as connection:
            self._connection = connection
            core.missed = True
            row = connection.execute("SELECT to_regprocedure(%s)", [_TELLS]).fetchone()
            if row == (None,):
                raise _SilentError("this database does not tell what changed (entasis migrate?)")
            self._name(connection)
            connection.execute(f"LISTEN {CHANNEL}")
            connection.execute("SELECT pg_advisory_lock_shared(%s, 1)", [_LOCKS])
            # waits for writers that looked before, saw nobody and are not committed yet
            connection.execute("SELECT pg_advisory_lock(%s, 0)", [_LOCKS])
            connection.execute("SELECT pg_advisory_unlock(%s, 0)", [_LOCKS])
            core.local.forget()
            self._settle(connection)
            while not self._stopped.is_set():
                if core.missed:
                    self._empty()
                asked = monotonic()
                stored = connection.execute(_STORED).fetchall()
                # what came with the answer was told before it
                self._hear(connection, 0)
                core.stored_until = dict(stored)
                core.heard_at = asked
                if not self._heard.is_set():
                    self._heard.set()
                    if self._warned:
                        self._warned = False
                        _log.warning("notifications are heard again")
                self._hear(connection, core.max_silence / 3)

    def _name(self, connection: psycopg.Connection[Any]) -> None:
        """Call keys by the database, so that two databases may share one Redis."""
        if self._redis is None or self._core.names is not None:
            return
        namespace = self._namespace
        if namespace is None:
            row = connection.execute(
                "SELECT s.system_identifier, d.oid FROM pg_control_system() AS s, pg_database AS d"
                " WHERE d.datname = current_database()"
            ).fetchone()
            assert row is not None
            namespace = f"{row[0]}.{row[1]}"
        self._core.names = Names(f"entasis1:{namespace}")

    def _settle(self, connection: psycopg.Connection[Any]) -> None:
        """Find out whether what Redis holds can be believed, or else empty it.

        It can when another process has listened all the time: it answers our greeting only after it
        has handled everything that was told before.
        """
        core, redis, names = self._core, self._redis, self._core.names
        if redis is None or names is None:
            return
        self._greeting = token_hex(16)
        connection.execute(
            "SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps({"hello": self._greeting})]
        )
        # what is told meanwhile may come after the greeting: whoever answers may not know it yet
        told: list[str] = []
        until = monotonic() + _HANDSHAKE
        while monotonic() < until and core.breaker.admits():
            told += [n.payload for n in connection.notifies(timeout=0.01, stop_after=1)]
            try:
                answered = redis.get(names.acknowledgement(self._greeting))
            except (RedisError, OSError) as error:
                core.breaker.failed(error)
                return
            if answered:
                core.missed = False
                for payload in told:
                    self._handle(payload)
                return
        self._empty()

    def _empty(self) -> None:
        """Make everything in Redis worthless, if it can be reached."""
        core, redis, names = self._core, self._redis, self._core.names
        if redis is None or names is None or not core.breaker.admits():
            return
        try:
            redis.unlink(names.everything)
        except (RedisError, OSError) as error:
            core.breaker.failed(error)
        else:
            core.missed = False

    def _hear(self, connection: psycopg.Connection[Any], timeout: float) -> None:
        """Handle what the server tells; wait for the first of it for so many seconds."""
        for told in connection.notifies(timeout=timeout, stop_after=1):
            self._handle(told.payload)

    def _handle(self, payload: str) -> None:
        try:
            message: Mapping[str, Any] = json.loads(payload)
            if (greeting := message.get("hello")) is not None:
                self._answer(str(greeting))
            else:
                self._core.invalidate(message, self._delete)
        except (ValueError, TypeError, AttributeError, OverflowError):
            # somebody else's words: better safe than sorry
            self._core.invalidate({"everything": True}, self._delete)

    def _answer(self, greeting: str) -> None:
        core, redis, names = self._core, self._redis, self._core.names
        if redis is None or names is None or core.missed or not core.breaker.admits():
            return
        if greeting == self._greeting:
            return
        with suppress(RedisError, OSError):
            redis.set(names.acknowledgement(greeting), 1, px=_ACKNOWLEDGED)

    def _delete(self, names: list[str]) -> None:
        assert self._redis is not None
        if names:
            self._redis.unlink(*names)
