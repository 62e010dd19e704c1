"""Scripts on connections that know which run of the Redis server they lead to.

A connection asks for the server's run id when it is made, and dies with the server: so the id that
it holds is that of whoever answers on it. The client's own ways of running a script hide which
connection they take, and cost more than the script.
"""

import re
from hashlib import sha1
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import NoScriptError, ResponseError

from entasis_db.cache.shared import READ, STORE, Read, Store

_HASHES = {
    script: sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (READ, STORE)
}


def _run_id(info: Any) -> bytes:
    found = re.search(rb"run_id:(\w+)", info if isinstance(info, bytes) else str(info).encode())
    if found is None:
        raise ResponseError("INFO server names no run_id")
    return found[1]


def _commands(step: Read | Store, everything: str, run_id: bytes) -> tuple[list[Any], list[Any]]:
    """Return the command by the script's hash, and the one that brings the script."""
    if isinstance(step, Read):
        script, (keys, arguments) = READ, step.call(everything, run_id)
    else:
        script, (keys, arguments) = STORE, step.call(everything)
    rest = [len(keys), *keys, *arguments]
    return ["EVALSHA", _HASHES[script], *rest], ["EVAL", script, *rest]


def _hits(run_id: bytes, reply: list[bytes | None]) -> list[bytes] | None:
    """Answer what READ would, of both tokens and the values, when every value is there."""
    everything, topic, *found = reply
    if everything is None or topic is None or not everything.startswith(run_id):
        return None
    stamp = everything + topic
    good, begins = b"V" + stamp, len(stamp) + 1
    values = [b"V" + value[begins:] for value in found if value and value.startswith(good)]
    return [stamp, *values] if len(values) == len(found) else None


def note_run(connection: Any) -> None:
    """Find out a new connection's run id."""
    connection.on_connect()
    connection.send_command("INFO", "server")
    connection.entasis_run_id = _run_id(connection.read_response())


async def note_run_async(connection: Any) -> None:
    """Find out a new connection's run id."""
    await connection.on_connect()
    await connection.send_command("INFO", "server")
    connection.entasis_run_id = _run_id(await connection.read_response())


def run(client: redis.Redis, step: Read | Store, everything: str) -> Any:
    """Run a step's script; raises RedisError or OSError."""
    pool: Any = client.connection_pool
    connection = pool.get_connection()
    try:
        run_id = connection.entasis_run_id
        if isinstance(step, Read):
            # one command reads at one moment too, and a hit needs no script
            connection.send_command("MGET", everything, step.topic, *step.keys)
            if (answer := _hits(run_id, connection.read_response())) is not None:
                return answer
        by_hash, whole = _commands(step, everything, run_id)
        connection.send_command(*by_hash)
        try:
            return connection.read_response()
        except NoScriptError:
            connection.send_command(*whole)
            return connection.read_response()
    except ResponseError:
        raise
    except BaseException:
        connection.disconnect()  # an answer may still be on its way
        raise
    finally:
        pool.release(connection)


async def run_async(client: redis.asyncio.Redis, step: Read | Store, everything: str) -> Any:
    """Run a step's script; raises RedisError or OSError."""
    pool: Any = client.connection_pool
    connection = await pool.get_connection()
    try:
        run_id = connection.entasis_run_id
        if isinstance(step, Read):
            await connection.send_command("MGET", everything, step.topic, *step.keys)
            if (answer := _hits(run_id, await connection.read_response())) is not None:
                return answer
        by_hash, whole = _commands(step, everything, run_id)
        await connection.send_command(*by_hash)
        try:
            return await connection.read_response()
        except NoScriptError:
            await connection.send_command(*whole)
            return await connection.read_response()
    except ResponseError:
        raise
    except BaseException:
        await connection.disconnect(nowait=True)  # an answer may still be on its way
        raise
    finally:
        await pool.release(connection)
