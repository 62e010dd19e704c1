"""Engine citus: what a server has to be for it, and what its errors say."""

from typing import Any
from weakref import WeakKeyDictionary

import psycopg

from entasis_db.cursors import AsyncCursor, Cursor
from entasis_db.errors import MigrationError

# min and max over arrays, which are the order of trades, are wrong in earlier ones
_OLDEST_CITUS = (14, 0)
_SERVERS = range(16, 19)
_ASK = "SELECT i.engine OPERATOR(pg_catalog.=) 'citus' FROM entasis.installation AS i"
_TELL = """
    SELECT pg_catalog.set_config('citus.propagate_set_commands', 'local', true)
    FROM pg_catalog.pg_extension AS e WHERE e.extname OPERATOR(pg_catalog.=) 'citus'
"""
# in the middle of a statement, Citus tells of it without an SQLSTATE of its own
_LOST = (
    "connection to the remote node",
    "server closed the connection unexpectedly",
    # a node refused at COMMIT, under SERIALIZABLE too: no node has anything of it
    "could not commit transaction for shard",
)
_known: WeakKeyDictionary[psycopg.Connection[Any] | psycopg.AsyncConnection[Any], bool] = (
    WeakKeyDictionary()
)


def check_cluster(connection: psycopg.Connection[Any]) -> None:
    """Raise MigrationError unless this is the coordinator of a Citus cluster that takes shards."""
    server = connection.info.server_version // 10000
    if server not in _SERVERS:
        raise MigrationError(
            f"this server is PostgreSQL {server}; engine citus is for {_SERVERS[0]} to "
            f"{_SERVERS[-1]}. Move it there, or migrate with --engine postgresql"
        )
    version = _one(
        connection,
        "SELECT extversion FROM pg_catalog.pg_extension"
        " WHERE extname OPERATOR(pg_catalog.=) 'citus'",
    )
    if version is None:
        raise MigrationError(
            "engine citus needs the extension citus in this database, on its coordinator and on "
            "all workers. CREATE EXTENSION citus on each, then citus_set_coordinator_host() and "
            "citus_add_node() here"
        )
    if _two_numbers(version) < _OLDEST_CITUS:
        raise MigrationError(
            f"Citus {version} is not supported; supported is 14.0 and later. Upgrade it on all "
            "nodes, and ALTER EXTENSION citus UPDATE"
        )
    refuse_worker(connection)
    if not _one(
        connection,
        "SELECT pg_catalog.bool_or(n.groupid OPERATOR(pg_catalog.=) 0)"
        " FROM pg_catalog.pg_dist_node AS n",
    ):
        raise MigrationError(
            "the nodes of this Citus cluster do not know where its coordinator is. SELECT "
            "citus_set_coordinator_host('its address', 5432) first"
        )
    if not _one(
        connection,
        "SELECT pg_catalog.bool_or(n.shouldhaveshards AND n.isactive)"
        " FROM pg_catalog.pg_dist_node AS n",
    ):
        raise MigrationError(
            "no node of this Citus cluster takes shards. SELECT citus_add_node('a worker', 5432), "
            "or, for one machine, "
            "citus_set_node_property('its address', 5432, 'shouldhaveshards', true)"
        )
    _refuse_binary_rows(connection)


def _refuse_binary_rows(connection: psycopg.Connection[Any]) -> None:
    # rows that come from a node in binary are read in the encoding of the coordinator's client,
    # though they are in the database's (14.0.1)
    if _one(
        connection, "SELECT pg_catalog.current_setting('citus.enable_binary_protocol')::boolean"
    ):
        raise MigrationError(
            "citus.enable_binary_protocol is on: clients with another client_encoding than the "
            "database's would get other text than is stored. In this database, ALTER DATABASE "
            f'"{connection.info.dbname}" SET citus.enable_binary_protocol = off, and connect again'
        )


def refuse_worker(connection: psycopg.Connection[Any]) -> None:
    """Raise MigrationError on a worker of a Citus cluster, whatever the engine."""
    if _one(
        connection, "SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_local_group') IS NOT NULL"
    ) and _one(
        connection,
        "SELECT l.groupid OPERATOR(pg_catalog.<>) 0 FROM pg_catalog.pg_dist_local_group AS l",
    ):
        raise MigrationError(
            "this is a worker of a Citus cluster, which gets everything from its coordinator. "
            "Migrate there"
        )


def is_citus(connection: psycopg.Connection[Any]) -> bool:
    """Say whether a database has engine citus; a connection is asked once."""
    if (answer := _known.get(connection)) is not None:
        return answer
    return _note(connection, Cursor(connection).execute(_ASK).fetchone())


async def is_citus_async(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Say what ``is_citus`` does."""
    if (answer := _known.get(connection)) is not None:
        return answer
    cursor = await AsyncCursor(connection).execute(_ASK)
    return _note(connection, await cursor.fetchone())


def tell_nodes(connection: psycopg.Connection[Any]) -> None:
    """Have the nodes of a cluster, if it is one, hear of what the transaction sets by SET LOCAL."""
    Cursor(connection).execute(_TELL)


def lost_a_node(error: psycopg.Error) -> bool:
    """Say whether a statement failed because a node of a cluster went away: it may be repeated."""
    return (error.sqlstate or "").startswith("08") or (
        isinstance(error, psycopg.errors.InternalError_)
        and any(text in str(error) for text in _LOST)
    )


def _note(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], row: tuple[Any, ...] | None
) -> bool:
    _known[connection] = answer = row is not None and bool(row[0])
    return answer


def _two_numbers(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version, which may be followed by - and a build."""
    major, minor = version.split("-")[0].split(".")[:2]
    return int(major), int(minor)


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = Cursor(connection).execute(query).fetchone()
    return row[0] if row is not None else None
