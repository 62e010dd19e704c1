"""What both kinds of cache are made of."""

from datetime import timedelta

from entasis_db.cache.eviction import Evictor
from entasis_db.cache.listener import Listener
from entasis_db.cache.memory import Memory
from entasis_db.cache.metrics import CacheMetrics, Counters
from entasis_db.cache.policy import CachePolicy
from entasis_db.cache.reads import ReadThrough
from entasis_db.cache.redis_store import RedisStore
from entasis_db.cache.servers import Servers
from entasis_db.cache.trust import Trust


class CacheBase:
    """The layers of a cache, and the listener that keeps them current."""

    def __init__(
        self,
        conninfo: str,
        redis_url: str | None = None,
        *,
        policy: CachePolicy | None = None,
        max_entries: int = 10_000,
        max_silence: timedelta = timedelta(seconds=5),
        max_wait: timedelta = timedelta(seconds=2),
        redis_timeout: timedelta = timedelta(milliseconds=250),
        namespace: str | None = None,
        connections: int = 4,
        session_pooler: bool = False,
    ) -> None:
        """Make a cache; nothing is connected before ``open``.

        ``conninfo`` leads to the primary server directly, because notifications need a session of
        their own (of several hosts, the cache listens to the primary; what others answer is not
        kept); ``session_pooler`` says that it leads through a pooler that keeps a session for
        each client. Through any other, every read goes to the database. ``redis_url`` names one
        Redis or Valkey (``redis://``, ``rediss://`` or ``unix://``; no cluster); without it there
        is only this process's memory, of ``max_entries`` entries of up to about 100 rows each.

        ``max_silence`` bounds the age of a change that a read may miss: when the server has not
        proved for so long that no notification is missing, reads go to the database. ``max_wait``
        is how long a read waits for another one's query for the same rows, ``redis_timeout`` how
        long for Redis. Redis's keys begin with ``namespace``, if there is one, and with what tells
        the database from others, and from copies of itself.
        ``connections`` is the most that are opened for queries, beside the one that listens.

        Raises ValueError for a number or a span that cannot be.
        """
        _check(max_silence=max_silence, max_wait=max_wait, redis_timeout=redis_timeout)
        if max_entries < 0 or connections < 1:
            raise ValueError("max_entries is 0 or more, and connections 1 or more")
        self._conninfo = conninfo
        self._connections = connections
        self._counters = Counters()
        self._memory = Memory(max_entries)
        self._servers = Servers(session_pooler=session_pooler)
        self._trust = Trust(max_silence.total_seconds())
        self._store: RedisStore | None = None
        if redis_url is not None:
            self._store = RedisStore(redis_url, redis_timeout, self._counters)
        self._reads = ReadThrough(
            policy or CachePolicy(),
            self._memory,
            self._store,
            self._trust,
            self._counters,
            max_wait.total_seconds(),
        )
        evictor = Evictor(self._memory, self._store, self._trust, self._counters)
        self._listener = Listener(
            conninfo, session_pooler, namespace, self._memory, self._store, self._trust, evictor
        )

    def metrics(self) -> CacheMetrics:
        """Return how the cache is doing now; from any thread, at any time."""
        counters = self._counters
        return CacheMetrics(
            memory_hits=counters.memory_hits,
            redis_hits=counters.redis_hits,
            queries=counters.queries,
            unkept=counters.unkept,
            notifications=counters.notifications,
            redis_failures=counters.redis_failures,
            listening=self._trust.is_current(),
            entries=len(self._memory),
        )


def _check(**spans: timedelta) -> None:
    for name, span in spans.items():
        if span <= timedelta(0):
            raise ValueError(f"{name} is {span}: give a span of time above 0")
