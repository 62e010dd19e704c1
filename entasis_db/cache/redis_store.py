"""What all processes share: values in one Redis or Valkey, under leases and stamps.

Every value carries a stamp: the current token of everything, and that of its topic (a market, an
underlying). Deleting a token invalidates every value under it at once; so do losing one to Redis's
own eviction, and a restart of the server, whose run id is part of the first token, also when it
comes back with values that it had saved. Deleting is all that an eviction takes, so that it works
on a full server too.

A reader that finds nothing gets a lease on the key, and may store what it then reads from the
database only while the lease stands. An eviction deletes the lease with whatever else is under the
key: what was read before a correction can never be stored after it.

A connection asks for the server's run id when it is made, and ends with the server: so the id that
it holds is that of the server which answers on it. The client's own way to run a script does not
say which connection it takes, and costs more than the script.
"""

import re
from datetime import timedelta
from hashlib import sha1
from importlib.resources import files
from typing import Any

from entasis_db.cache.breaker import RedisBreaker
from entasis_db.cache.metrics import Counters
from entasis_db.cache.redis_connections import AsyncConnections, Connections
from entasis_db.cache.redis_keys import KeyNames
from entasis_db.cache.steps import Discard, Lookup, Store
from entasis_db.extras import extra

with extra("cache"):
    import redis
    import redis.asyncio
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.exceptions import InvalidResponse, NoScriptError, RedisError, ResponseError
    from redis.retry import Retry

FAILURES = (RedisError, OSError)
"""What the client raises when a server is out of reach or full, or answers nonsense."""

_LEASE = 5_000  # ms: longer than a query should take
_TOKEN_LIFETIME = 8 * 24 * 3600 * 1000  # ms: longer than any value lives
_ACKNOWLEDGED = 10_000  # ms


class _Script:
    """One Lua script, and what Redis calls it."""

    def __init__(self, name: str) -> None:
        self.text = files(__package__).joinpath(name).read_text(encoding="utf-8")
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_LOOKUP, _STORE = _Script("lookup.lua"), _Script("store.lua")


class AsyncRedis:
    """The client of an event loop."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.redis = client
        self.connections = AsyncConnections(client.connection_pool)

    async def close(self) -> None:
        """Disconnect."""
        await self.redis.aclose()


class RedisStore:
    """One Redis or Valkey, as the listener's thread and the readers of a cache use it."""

    def __init__(self, url: str, timeout: timedelta, counters: Counters) -> None:
        """Make the clients; they connect when they are used. The timeout is that of one reply."""
        self.keys: KeyNames | None = None
        """None until the namespace is known: nothing is asked of Redis before."""
        self.breaker = RedisBreaker(counters)
        self._url = url
        seconds = timeout.total_seconds()
        self._options: dict[str, Any] = {
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
        }
        # a second attempt would only make a slow server slower
        self._client = redis.Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=_note_run_id,
            **self._options,
        )
        self._connections = Connections(self._client.connection_pool)

    def async_client(self) -> AsyncRedis:
        """Make a client for the running event loop."""
        return AsyncRedis(
            redis.asyncio.Redis.from_url(
                self._url,
                retry=AsyncRetry(NoBackoff(), 0),
                redis_connect_func=_note_run_id_async,
                **self._options,
            )
        )

    def close(self) -> None:
        """Disconnect the client of threads."""
        self._client.close()

    def usable(self) -> KeyNames | None:
        """Return the names of keys if Redis may be asked now."""
        return self.keys if self.breaker.admits() else None

    # -------------------------------------------------------------- readers

    def do(self, step: Lookup | Store | Discard) -> Any:
        """Do a step; None when Redis is not to be asked, or fails."""
        names = self.usable()
        if names is None:
            return None
        try:
            if isinstance(step, Discard):
                return self._checked(self._client.unlink(*step.values))
            return self._checked(_run(self._connections, step, names.everything))
        except FAILURES as error:
            return self.breaker.failed(error)

    async def do_async(self, client: AsyncRedis, step: Lookup | Store | Discard) -> Any:
        """Do a step with the client of an event loop, as ``do`` does."""
        names = self.usable()
        if names is None:
            return None
        try:
            if isinstance(step, Discard):
                return self._checked(await client.redis.unlink(*step.values))
            return self._checked(await _run_async(client.connections, step, names.everything))
        except FAILURES as error:
            return self.breaker.failed(error)

    def _checked(self, reply: Any) -> Any:
        if isinstance(reply, bytes) and reply != b"OK":
            raise ResponseError(reply.decode(errors="replace"))
        if isinstance(reply, list) and b"M" in reply:
            self.breaker.failed(ResponseError("it has no room"))
        else:
            self.breaker.succeeded()
        return reply

    # -------------------------------------------------------------- the listener

    def delete(self, names: list[str]) -> None:
        """Delete keys. Raises one of FAILURES."""
        self._client.unlink(*names)

    def acknowledge(self, name: str) -> None:
        """Set an acknowledgement. Raises one of FAILURES."""
        self._client.set(name, 1, px=_ACKNOWLEDGED)

    def is_acknowledged(self, name: str) -> bool:
        """Say whether an acknowledgement is set. Raises one of FAILURES."""
        return bool(self._client.exists(name))


# ------------------------------------------------------------------ scripts on connections


def _note_run_id(connection: Any) -> None:
    """Ask a new connection for the server's run id."""
    connection.on_connect()
    connection.send_command("INFO", "server")
    connection.entasis_run_id = _run_id(connection.read_response())


async def _note_run_id_async(connection: Any) -> None:
    """Ask a new connection for the server's run id."""
    await connection.on_connect()
    await connection.send_command("INFO", "server")
    connection.entasis_run_id = _run_id(await connection.read_response())


def _run_id(info: Any) -> bytes:
    found = re.search(rb"run_id:(\w+)", info if isinstance(info, bytes) else str(info).encode())
    if found is None:
        raise InvalidResponse("INFO server names no run_id")
    return found[1]


def _run(connections: Connections, step: Lookup | Store, everything: str) -> Any:
    """Run a step's script. Raises one of FAILURES."""
    connection = connections.take()
    try:
        reply = _exchange(connection, step, everything)
    except ResponseError:
        connections.give_back(connection)
        raise
    except BaseException:
        connections.discard(connection)
        raise
    connections.give_back(connection)
    return reply


def _exchange(connection: Any, step: Lookup | Store, everything: str) -> Any:
    run_id = connection.entasis_run_id
    if isinstance(step, Lookup):
        # one command reads at one moment too, and a hit needs no script
        connection.send_command("MGET", everything, step.topic, *step.values)
        if (answer := _hits(run_id, step, connection.read_response())) is not None:
            return answer
    by_digest, with_text = _commands(step, everything, run_id)
    connection.send_command(*by_digest)
    try:
        return _understood(step, connection.read_response())
    except NoScriptError:
        connection.send_command(*with_text)
        return _understood(step, connection.read_response())


async def _run_async(connections: AsyncConnections, step: Lookup | Store, everything: str) -> Any:
    """Run a step's script, as ``_run`` does."""
    connection = await connections.take()
    try:
        reply = await _exchange_async(connection, step, everything)
    except ResponseError:
        connections.give_back(connection)
        raise
    except BaseException:
        await connections.discard(connection)
        raise
    connections.give_back(connection)
    return reply


async def _exchange_async(connection: Any, step: Lookup | Store, everything: str) -> Any:
    run_id = connection.entasis_run_id
    if isinstance(step, Lookup):
        await connection.send_command("MGET", everything, step.topic, *step.values)
        if (answer := _hits(run_id, step, await connection.read_response())) is not None:
            return answer
    by_digest, with_text = _commands(step, everything, run_id)
    await connection.send_command(*by_digest)
    try:
        return _understood(step, await connection.read_response())
    except NoScriptError:
        await connection.send_command(*with_text)
        return _understood(step, await connection.read_response())


def _commands(step: Lookup | Store, everything: str, run_id: bytes) -> tuple[list[Any], list[Any]]:
    """Return the command with the script's digest, and the one with its text."""
    arguments: list[Any]
    if isinstance(step, Lookup):
        script, keys = _LOOKUP, [everything, step.topic, *step.values]
        arguments = [step.token, _LEASE, _TOKEN_LIFETIME, run_id]
    else:
        script, keys = _STORE, [everything, step.lookup.topic, *step.values]
        arguments = [step.stamp, step.lookup.token]
        for value in step.values.values():
            arguments += value if value is not None else (0, b"")
    rest = [len(keys), *keys, *arguments]
    return ["EVALSHA", script.digest, *rest], ["EVAL", script.text, *rest]


def _hits(run_id: bytes, step: Lookup, reply: Any) -> list[bytes] | None:
    """Return what lookup.lua would, from both tokens and the values, if every value is there."""
    if not isinstance(reply, list) or len(reply) != 2 + len(step.values):
        raise InvalidResponse("MGET answered something else than as many values as it was given")
    everything, topic, *found = reply
    if not (isinstance(everything, bytes) and isinstance(topic, bytes)):
        return None
    if not everything.startswith(run_id):
        return None
    stamp = everything + topic
    good, begins = b"V" + stamp, len(stamp) + 1
    values = [b"V" + value[begins:] for value in found if value and value.startswith(good)]
    return [stamp, *values] if len(values) == len(found) else None


def _understood(step: Lookup | Store, reply: Any) -> Any:
    if isinstance(step, Lookup) and not (
        isinstance(reply, list)
        and len(reply) == 1 + len(step.values)
        and all(isinstance(part, bytes) for part in reply)
    ):
        raise InvalidResponse("the lookup answered something else than its script does")
    return reply
