"""Hearing of changes: one connection, one thread, and a proof that no notification was missed.

Each commit publishes the markets and minutes that it changed (NOTIFY), but only while a cache is
listening: a listener has a row in a table that writers look at (see the function
entasis_internal.has_cache_listeners). Once the writers have ended that looked before it was there,
it hears of every statement that commits.

A connection may be dead without a sign. So the listener runs a query every third of
``max_silence``: notifications that were sent before its answer arrive before it. When there are no
answers, the cache stops believing what it holds, and no component has to notice the failure.
"""

import json
import logging
import threading
from secrets import token_hex
from time import monotonic
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.cache.eviction import Evictor
from entasis_db.cache.memory import Memory
from entasis_db.cache.messages import understood
from entasis_db.cache.redis_keys import KeyNames
from entasis_db.cache.redis_store import FAILURES, RedisStore
from entasis_db.cache.servers import identity_of
from entasis_db.cache.trust import Trust
from entasis_db.own_session import require_own_session
from entasis_db.search_path import PIN
from entasis_db.wire import cut

_log = logging.getLogger("entasis_db.cache")

# transactions that wrote and may have seen no listener; virtual transactions are never reused
_WRITERS = """
    SELECT l.virtualtransaction FROM pg_catalog.pg_locks AS l
    INNER JOIN pg_catalog.pg_database AS d
        ON l.database OPERATOR(pg_catalog.=) d.oid
        AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
    WHERE l.relation OPERATOR(pg_catalog.=)
            pg_catalog.to_regclass('entasis_internal.cache_listeners')
        AND l.mode OPERATOR(pg_catalog.=) 'RowShareLock' AND l.granted
        AND (l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() OR l.pid IS NULL)
"""
_PATIENCE = 30.0  # s of waiting for writers, after which it is said
# a database that has this function notifies caches of every change
_WATERMARKS = "entasis_internal.candle_watermarks()"
_READ_WATERMARKS = "SELECT relation, seconds FROM entasis_internal.candle_watermarks()"
_HANDSHAKE = 0.3  # s to wait for another process to say that it has listened all the time
_LONGEST_PAUSE = 5.0  # s between attempts to listen
_CONNECTION = {"connect_timeout": 5, "tcp_user_timeout": 5_000}


class _NotNotifyingError(Exception):
    """A database that would never notify a cache."""


def listen(connection: psycopg.Connection[Any]) -> None:
    """Have a connection in autocommit mode hear of what ``writers`` that begin later commit."""
    connection.execute("SELECT entasis_internal.cache_listen()")
    row = connection.execute("SELECT entasis_internal.cache_channel_name()").fetchone()
    assert row is not None
    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(row[0])))


def writers(connection: psycopg.Connection[Any]) -> set[str]:
    """Return the transactions that have looked for listeners and go on."""
    return {name for (name,) in connection.execute(_WRITERS).fetchall()}


class Listener:
    """Hears of changes, evicts what they concern, and says when nothing is heard."""

    def __init__(
        self,
        conninfo: str,
        session_pooler: bool,
        namespace: str | None,
        memory: Memory,
        store: RedisStore | None,
        trust: Trust,
        evictor: Evictor,
    ) -> None:
        self._conninfo = conninfo
        self._session_pooler = session_pooler
        self._namespace = namespace
        self._memory = memory
        self._store = store
        self._trust = trust
        self._evictor = evictor
        self._stopped = threading.Event()
        self._heard = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._warned = False
        self._puzzled = False
        self._greeting = ""
        self._thread = threading.Thread(target=self._run, name="entasis-cache", daemon=True)

    def start(self, timeout: float) -> None:
        """Begin; wait for so many seconds until the first notification could be heard."""
        self._thread.start()
        self._heard.wait(timeout)

    def stop(self) -> None:
        """End; nothing in memory is believed any more."""
        self._stopped.set()
        self._trust.lost_connection()
        connection = self._connection
        if connection is not None:
            cut(connection)  # the thread may be waiting for a server that does not answer
        if self._thread.ident is not None:
            self._thread.join(timeout=2 * _CONNECTION["connect_timeout"])
        self._memory.clear()

    def _run(self) -> None:
        pause = 0.05
        while not self._stopped.is_set():
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next attempt may work
                self._lost(error)
            self._stopped.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE) if not self._heard.is_set() else 0.05
            self._heard.clear()

    def _lost(self, error: Exception) -> None:
        self._trust.lost_connection()
        self._memory.clear()
        if not self._warned and not self._stopped.is_set():
            self._warned = True
            _log.warning(
                "notifications cannot be heard, every read goes to the database: %s",
                " ".join(str(error).split()) or type(error).__name__,
            )

    def _listen(self) -> None:
        settings = {**_CONNECTION, **conninfo_to_dict(self._conninfo)}
        settings["application_name"] = "entasis cache"
        settings["client_encoding"] = "UTF8"  # a name may be in any script
        settings["target_session_attrs"] = "primary"  # of several hosts
        with psycopg.connect(make_conninfo("", **settings), autocommit=True) as connection:
            self._connection = connection
            require_own_session(
                connection, "the cache's listener", session_pooler=self._session_pooler
            )
            connection.execute(PIN)
            # readers are often given a read-only default; that somebody listens is a row
            connection.execute("SET default_transaction_read_only = off")
            self._trust.redis_missed_eviction()
            row = connection.execute(
                "SELECT pg_catalog.to_regprocedure(%s)", [_WATERMARKS]
            ).fetchone()
            if row == (None,):
                raise _NotNotifyingError("this database does not notify caches (entasis migrate?)")
            server = identity_of(connection)
            self._name_keys(server)
            listen(connection)
            self._wait_for(writers(connection), connection)
            self._memory.clear()
            self._trust.listens_to(server)
            self._settle(connection)
            while not self._stopped.is_set():
                if not self._trust.redis_is_current():
                    self._evictor.empty_redis()
                self._prove(connection)
                self._hear(connection, self._trust.max_silence / 3)

    def _wait_for(self, before: set[str], connection: psycopg.Connection[Any]) -> None:
        """Wait for transactions to end that may not notify."""
        began, told = monotonic(), False
        while before and not self._stopped.wait(0.02):
            before &= writers(connection)
            if not told and monotonic() - began > _PATIENCE:
                told = True
                _log.warning(
                    "%d transactions began to write before this cache and have not ended: every"
                    " read goes to the database until they have (pg_stat_activity shows them)",
                    len(before),
                )

    def _prove(self, connection: psycopg.Connection[Any]) -> None:
        """Ask the server something: everything that it sent before its answer is handled then."""
        asked = monotonic()
        watermarks = dict(connection.execute(_READ_WATERMARKS).fetchall())
        self._hear(connection, 0)
        self._trust.heard_all(asked, watermarks)
        if not self._heard.is_set():
            self._heard.set()
            if self._warned:
                self._warned = False
                _log.warning("notifications are heard again")

    def _name_keys(self, server: str) -> None:
        """Name Redis's keys after the server, so that others, and copies of it, may share Redis."""
        if self._store is not None:
            prefix = "entasis1" if self._namespace is None else f"entasis1:{self._namespace}"
            self._store.keys = KeyNames(f"{prefix}:{server}")

    def _settle(self, connection: psycopg.Connection[Any]) -> None:
        """Find out whether what Redis holds may be believed, or else empty it.

        It may if another process has listened all the time: it acknowledges our greeting only after
        it has handled every notification before it.
        """
        store = self._store
        if store is None or store.keys is None:
            return
        self._greeting = token_hex(16)
        connection.execute(
            "SELECT pg_catalog.pg_notify(entasis_internal.cache_channel_name(), %s)",
            [json.dumps({"hello": self._greeting})],
        )
        # notifications that arrive meanwhile may have been sent after the greeting: the process
        # that acknowledges it may not have handled them yet
        received: list[str] = []
        until = monotonic() + _HANDSHAKE
        while monotonic() < until and store.breaker.admits():
            received += [n.payload for n in connection.notifies(timeout=0.01, stop_after=1)]
            try:
                acknowledged = store.is_acknowledged(store.keys.acknowledgement(self._greeting))
            except FAILURES as error:
                store.breaker.failed(error)
                return
            if acknowledged:
                self._trust.redis_caught_up()
                for payload in received:
                    self._handle(payload)
                return
        self._evictor.empty_redis()

    def _hear(self, connection: psycopg.Connection[Any], timeout: float) -> None:
        """Handle notifications; wait for the first one for so many seconds."""
        for notification in connection.notifies(timeout=timeout, stop_after=1):
            self._handle(notification.payload)

    def _handle(self, payload: str) -> None:
        """Handle one notification. What is none of ours is ignored: anybody may have sent it."""
        try:
            message = understood(payload)
        except (ValueError, RecursionError) as error:
            if not self._puzzled:
                self._puzzled = True
                _log.warning(
                    "a notification that no database of ours sends was ignored, as others like it"
                    " will be without another word (%d characters: %s)",
                    len(payload),
                    type(error).__name__,
                )
            return
        if (greeting := message.get("hello")) is not None:
            self._acknowledge(greeting)
            return
        try:
            self._evictor.evict(message)
        except Exception:  # noqa: BLE001 - so that nothing stale is left
            _log.exception("a notification could not be followed, so that the cache was emptied")
            self._evictor.evict_everything()

    def _acknowledge(self, greeting: str) -> None:
        store = self._store
        if store is None or greeting == self._greeting or not self._trust.redis_is_current():
            return
        if (names := store.usable()) is None:
            return
        try:
            store.acknowledge(names.acknowledgement(greeting))
        except FAILURES as error:
            store.breaker.failed(error)
