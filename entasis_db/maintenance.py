"""The daily maintenance from outside the database, where DETACH CONCURRENTLY is possible.

``CALL entasis.maintain()`` drops a partition under a short exclusive lock on its parent, and gives
up when somebody reads it. A login that may act as entasis_owner need not: it detaches the partition
beside running readers and writers first, and then drops what nobody can see any more.
"""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

Progress = Callable[[str], None]


def maintain(connection: psycopg.Connection[Any], progress: Progress = lambda _: None) -> None:
    """Do what has to happen daily: partitions ahead, drops, statistics.

    ``connection`` is in autocommit mode and belongs to a member of entasis_admin. ``progress`` is
    called with a line for each step. Killed at any moment, the next run completes it.
    """
    if not connection.autocommit:
        raise ValueError("maintain over a connection in autocommit mode: it commits as it goes")
    if _may_act_as_owner(connection):
        _drop_concurrently(connection, progress)

    def tell(diagnostic: psycopg.errors.Diagnostic) -> None:
        progress(diagnostic.message_primary or "")

    connection.add_notice_handler(tell)
    try:
        connection.execute("CALL entasis.maintain()")
    finally:
        connection.remove_notice_handler(tell)


def _may_act_as_owner(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT pg_has_role(session_user, 'entasis_owner', 'MEMBER')"
        " AND to_regprocedure('entasis_internal.expired_partitions()') IS NOT NULL"
    ).fetchone()
    return row is not None and bool(row[0])


def _drop_concurrently(connection: psycopg.Connection[Any], progress: Progress) -> None:
    connection.execute("SET ROLE entasis_owner")
    try:
        for partition in _left_detached(connection):
            progress(f"dropping {partition}, which an earlier run detached")
            _drop(connection, partition)
        # Asked anew after each drop: trades that have gone release their candles.
        while (expired := _next_expired(connection)) is not None:
            relation, partition, to_time, pending = expired
            progress(f"detaching {partition}")
            # The floor first: from here on nobody writes below it, and if this run is killed, the
            # rows are merely there for longer.
            with connection.transaction():
                connection.execute(
                    "SELECT entasis_internal.raise_floor(%s, %s)", [relation, to_time]
                )
                _log(connection, "detach", relation, partition)
            connection.execute(
                sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}").format(
                    sql.Identifier("entasis", relation),
                    sql.Identifier("entasis", partition),
                    # a run that was killed in the middle has left it pending
                    sql.SQL("FINALIZE" if pending else "CONCURRENTLY"),
                )
            )
            _drop(connection, partition)
            progress(f"dropped {partition}")
    finally:
        connection.execute("RESET ROLE")


def _next_expired(
    connection: psycopg.Connection[Any],
) -> tuple[str, str, object, bool] | None:
    return connection.execute(
        """
        SELECT e.relation, e.partition_name, e.to_time, i.inhdetachpending
        FROM entasis_internal.expired_partitions() AS e
        INNER JOIN pg_catalog.pg_inherits AS i
            ON i.inhrelid = to_regclass(format('entasis.%I', e.partition_name))
        WHERE e.kept_because IS NULL
        LIMIT 1
        """
    ).fetchone()


def _left_detached(connection: psycopg.Connection[Any]) -> list[str]:
    rows = connection.execute(
        """
        SELECT DISTINCT l.detail
        FROM entasis.maintenance_log AS l
        INNER JOIN pg_catalog.pg_class AS c
            ON c.oid = to_regclass(format('entasis.%I', l.detail))
        WHERE l.action = 'detach' AND NOT c.relispartition
        """
    ).fetchall()
    return [partition for (partition,) in rows]


def _drop(connection: psycopg.Connection[Any], partition: str) -> None:
    with connection.transaction():
        relation = partition.rpartition("_")[0]
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("entasis", partition)))
        _log(connection, "drop", relation, partition)


def _log(connection: psycopg.Connection[Any], action: str, relation: str, partition: str) -> None:
    connection.execute(
        "INSERT INTO entasis.maintenance_log (action, relation, detail) VALUES (%s, %s, %s)",
        [action, relation, partition],
    )
