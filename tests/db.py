"""Small look-ups and statements that many tests share."""

import re
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]


def one(connection: Connection, query: str, *parameters: object) -> Any:
    """Return the first column of the first row."""
    row = connection.execute(query.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def health(connection: Connection, relation: str) -> dict[str, Any]:
    """Return the row of the view health for a relation, by column."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT * FROM entasis.lifecycle WHERE relation = %s", [relation]
        ).fetchone()
    assert row is not None
    return row


def is_blocked(asking: Connection, waiting: Connection, *, by_asking: bool = False) -> bool:
    """Say whether a session waits for another, or for this; on a cluster, whether any does."""
    query = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
    if by_asking:
        query = "SELECT pg_backend_pid() = ANY (pg_blocking_pids(%s))"
    if one(asking, "SELECT to_regclass('pg_catalog.citus_lock_waits') IS NOT NULL"):
        query += " OR EXISTS (SELECT FROM citus_lock_waits)"
    return bool(one(asking, query, waiting.info.backend_pid))


def fire_no_triggers(connection: Connection) -> None:
    """Change rows as replication does, to the end of the transaction, on all nodes of a cluster."""
    connection.execute("SET LOCAL citus.propagate_set_commands = 'local'")
    connection.execute("SET LOCAL session_replication_role = replica")


def let_triggers(connection: Connection) -> None:
    """Let a session make triggers of sharded tables, which a cluster takes for unsafe."""
    connection.execute("SET citus.enable_unsafe_triggers = on")


def unsharded(name: str) -> str:
    """Return the name of the relation of which this is a shard, or the name as it is."""
    return re.sub(r"_1\d{5}$", "", name)


def later(column: str, length: str) -> str:
    """Write a time of a column plus a length, in UTC, so that a cluster may compute it anywhere."""
    return f"({column} AT TIME ZONE 'UTC' + interval '{length}') AT TIME ZONE 'UTC'"


def earlier(column: str, length: str) -> str:
    """Write a time of a column less a length, as ``later`` does."""
    return later(column, f"-{length}")


def violates(connection: Connection, error: psycopg.Error, constraint: str) -> None:
    """See that an error is of this constraint; of an error on a node, Citus hands on the text."""
    name = error.diag.constraint_name
    if name or one(connection, "SELECT engine <> 'citus' FROM entasis.installation"):
        assert name == constraint


def refused(connection: Connection, relation: str, query: str, *parameters: object) -> None:
    """See a statement refused because it writes below the floor of a relation."""
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        connection.execute(query.encode(), parameters)
    violates(connection, caught.value, f"{relation}_floor")
    assert "past its keep period" in str(caught.value)


def ensure(connection: Connection, relation: str, from_time: Any, to_time: Any) -> int:
    """Make the partitions of a range; return how many were made."""
    made: int = one(
        connection, "SELECT entasis.ensure_partitions(%s, %s, %s)", relation, from_time, to_time
    )
    return made


def listen_for_caches(connection: Connection) -> None:
    """Hear what caches are told, without being one."""
    connection.execute(
        f"LISTEN {one(connection, 'SELECT entasis_internal.cache_channel_name()')}".encode()
    )


def discard(connection: Connection, discarding: bool = True) -> None:
    """Let maintenance drop what is past its keep period without an archive, or not any more."""
    connection.execute(
        "UPDATE entasis.keep_periods SET archived = NOT %s"
        " WHERE relation IN (SELECT relation FROM entasis.floors)",
        [discarding],
    )


def count_within_timestamps(connection: Connection, *markets: tuple[str, str]) -> None:
    """Say that ids of these markets, (symbol, exchange), are unique within a timestamp only."""
    for symbol, exchange in sorted(set(markets)):
        connection.execute(
            "SELECT entasis.record_id_space(%s, %s, 'ordinal', 'test')", [symbol, exchange]
        )


def wipe(connection: Connection) -> None:
    """Delete what was ingested."""
    for relation in (
        "market_data",
        "option_data",
        "quarantine",
        "past_retention",
        "markets",
        "anomalies",
    ):
        connection.execute(sql.SQL("DELETE FROM entasis.{}").format(sql.Identifier(relation)))
    for relation in ("examined_days", "examined_up_to"):
        connection.execute(f"DELETE FROM entasis_internal.{relation}".encode())


class KilledError(Exception):
    """Stands for the death of the process."""


def mortal(kill_at: int) -> type[Connection]:
    """Make a connection that is lost right before its statement of that number."""
    count = 0

    class Mortal(psycopg.Connection[Any]):
        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            # what every cursor runs a statement by
            nonlocal count
            if gen.gi_code.co_name == "_execute_gen":
                count += 1
                if count == kill_at:
                    gen.close()
                    self.close()
                    raise KilledError
            return super().wait(gen, *args, **kwargs)

    return Mortal
