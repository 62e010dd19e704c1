"""The daily maintenance from outside the database, where DETACH CONCURRENTLY is possible.

``CALL entasis.maintain()`` drops a partition under a short exclusive lock on its parent, and gives
up when somebody reads it. A login that may act as entasis_owner need not: it detaches the partition
beside running readers and writers first, and then drops what nobody can see any more. Of an
archived relation it drops only what its archive holds, row for row; the rest it attaches again.
Chunks cannot be detached, nor partitions of engine citus in this way: there the procedure does it
all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from entasis_db.citus import is_citus
from entasis_db.cursors import execute
from entasis_db.own_session import require_own_session
from entasis_db.runs import recorded
from entasis_db.search_path import untyped

Progress = Callable[[str], None]


@dataclass(frozen=True)
class PlannedDrop:
    """A partition that is past its keep period, and what the next maintenance does with it."""

    relation: str
    """Relation of schema entasis."""
    partition: str
    """Name of the partition, or chunk."""
    from_time: datetime | None
    """First moment of its range, included; UTC. None: it has no lower bound."""
    to_time: datetime
    """First moment after its range; UTC."""
    bytes: int | None
    """Size on disk with its indexes. None: it is not known."""
    goes: bool
    """Whether it would be dropped."""
    reason: str
    """Why, or why not."""


def maintenance_plan(connection: psycopg.Connection[Any]) -> list[PlannedDrop]:
    """Return what is past its keep period, in the order in which maintenance would drop it.

    Changes nothing. ``connection`` belongs to a member of entasis_admin. Raises psycopg.Error when
    the server refuses.
    """
    return [
        PlannedDrop(
            relation,
            partition,
            None if start is None else start.astimezone(UTC),
            end.astimezone(UTC),
            *rest,
        )
        for relation, partition, start, end, *rest in execute(
            connection,
            "SELECT relation, partition_name,"
            " CASE WHEN from_time OPERATOR(pg_catalog.<>) '-infinity' THEN from_time END,"
            " to_time, bytes,"
            " goes, reason FROM entasis.maintenance_plan()",
        )
    ]


def left_over(connection: psycopg.Connection[Any]) -> int:
    """Count what is past its keep period and waits for an archive, or was in use.

    What a restore holds there is not counted. ``connection`` belongs to a member of entasis_admin.
    Raises psycopg.Error when the server refuses.
    """
    ((count,),) = execute(connection, _LEFT_OVER)
    return int(count)


def maintain(
    connection: psycopg.Connection[Any],
    progress: Progress = lambda _: None,
    *,
    session_pooler: bool = False,
) -> None:
    """Do what has to happen daily: partitions ahead, drops, statistics.

    ``connection`` is in autocommit mode and belongs to a member of entasis_admin. ``progress`` is
    called with a line for each step. Killed at any moment, the next run completes it.
    ``session_pooler`` says that a pooler in front keeps a session for each client.

    Raises SessionError behind any other pooler, and on a replica.
    """
    if not connection.autocommit:
        raise ValueError("maintain over a connection in autocommit mode: it commits as it goes")
    require_own_session(connection, "maintain", session_pooler=session_pooler)

    def tell(diagnostic: psycopg.errors.Diagnostic) -> None:
        progress(diagnostic.message_primary or "")

    with recorded(connection, "maintain") as (run, detail):
        ((last,),) = execute(
            connection, "SELECT pg_catalog.max(m.id) FROM entasis.maintenance_log AS m"
        )
        if _can_detach(connection):
            _drop_concurrently(connection, progress)
        connection.add_notice_handler(tell)
        try:
            execute(connection, "CALL entasis.maintain(%s)", run)
        finally:
            connection.remove_notice_handler(tell)
        ((done,),) = execute(connection, "SELECT entasis_internal.log_since(%s)", last)
        detail.update(done)


def _can_detach(connection: psycopg.Connection[Any]) -> bool:
    """Whether there are partitions, which chunks are not, and this login may act as their owner.

    Citus refuses DETACH PARTITION CONCURRENTLY.
    """
    if is_citus(connection):
        return False
    # since PostgreSQL 16, being a member does not always include acting as the role
    right = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    rows = execute(
        connection,
        "SELECT pg_catalog.pg_has_role(session_user, 'entasis_owner', %s) AND EXISTS ("
        " SELECT FROM pg_catalog.pg_partitioned_table AS t"
        " WHERE t.partrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('entasis.market_data'))",
        right,
    )
    return bool(rows[0][0])


def _drop_concurrently(connection: psycopg.Connection[Any], progress: Progress) -> None:
    (acting_before,) = execute(connection, "SELECT pg_catalog.current_setting('role')")[0]
    execute(connection, "SET ROLE entasis_owner")
    try:
        execute(connection, "SELECT entasis_internal.record_partitions()")
        # A partition may be left half detached, and until that is completed none other of its
        # relation can be detached.
        for relation, *name in execute(connection, _PENDING):
            progress(f"completing the detaching of {name[1]}")
            _detach(connection, relation, sql.Identifier(*name), sql.SQL("FINALIZE"))
        for relation, schema, partition, *bounds in execute(connection, _LEFT_DETACHED):
            progress(f"dropping {partition}, which an earlier run detached")
            _drop(connection, relation, (schema, partition), bounds, progress)
        # Asked anew after each drop: trades that have gone release their candles.
        while expired := execute(connection, _NEXT_EXPIRED):
            relation, schema, partition, from_time, to_time = expired[0]
            progress(f"detaching {partition}")
            # The floor first: from here on nobody writes below it, and if this run is killed, the
            # rows are merely there for longer.
            with connection.transaction():
                execute(
                    connection, "SELECT entasis_internal.raise_floor(%s, %s)", relation, to_time
                )
                _log(connection, "detach", relation, partition)
            table = sql.Identifier(schema, partition)
            _detach(connection, relation, table, sql.SQL("CONCURRENTLY"))
            bounds = [from_time, to_time]
            if _drop(connection, relation, (schema, partition), bounds, progress):
                progress(f"dropped {partition}")
    finally:
        if not connection.closed:
            execute(connection, sql.SQL("SET ROLE {}").format(sql.Identifier(acting_before)))


_LEFT_OVER = """
    SELECT pg_catalog.count(*)
    FROM entasis_internal.expired_partitions() AS e
    INNER JOIN entasis.keep_periods AS k ON e.relation OPERATOR(pg_catalog.=) k.relation
    WHERE entasis_internal.restore_hold(e.relation, e.from_time, e.to_time) IS NULL
    AND (
        e.kept_because IS NULL
        OR k.archived
        AND entasis_internal.archive_fault(e.relation, e.from_time, e.to_time) IS NOT NULL
    )
"""

_NEXT_EXPIRED = """
    SELECT e.relation, n.nspname, e.partition_name, e.from_time, e.to_time
    FROM entasis_internal.expired_partitions() AS e
    INNER JOIN pg_catalog.pg_class AS c ON e.partition_oid OPERATOR(pg_catalog.=) c.oid
    -- what a DBA has put into another schema is left to CALL entasis.maintain()
    INNER JOIN pg_catalog.pg_namespace AS n
        ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND n.nspname::pg_catalog.text
                OPERATOR(pg_catalog.=) ANY (ARRAY['entasis_internal', 'entasis'])
    INNER JOIN entasis.keep_periods AS k ON e.relation OPERATOR(pg_catalog.=) k.relation
    WHERE e.kept_because IS NULL
    -- in this order nothing is dropped before what lies below it
    ORDER BY k.derived_from IS NOT NULL, e.relation, e.from_time
    LIMIT 1
"""

_PENDING = """
    SELECT parent.relname, n.nspname, child.relname
    FROM pg_catalog.pg_inherits AS i
    INNER JOIN pg_catalog.pg_class AS child ON i.inhrelid OPERATOR(pg_catalog.=) child.oid
    INNER JOIN pg_catalog.pg_namespace AS n ON child.relnamespace OPERATOR(pg_catalog.=) n.oid
    INNER JOIN pg_catalog.pg_class AS parent ON i.inhparent OPERATOR(pg_catalog.=) parent.oid
    INNER JOIN entasis.keep_periods AS k
        ON parent.oid OPERATOR(pg_catalog.=)
            pg_catalog.to_regclass(pg_catalog.format('entasis.%I', k.relation))
    WHERE i.inhdetachpending
    ORDER BY 1, 3
"""

# What this maintenance meant to drop, as the last thing that it noted about that name: a table of
# that name which somebody made later, to restore history, is none of its business.
_LEFT_DETACHED = """
    SELECT l.relation, n.nspname, l.detail, s.from_time, s.to_time
    FROM (
        SELECT DISTINCT ON (pg_catalog.split_part(m.detail, ' ', 1)) m.relation, m.action, m.detail
        FROM entasis.maintenance_log AS m
        ORDER BY pg_catalog.split_part(m.detail, ' ', 1), m.id DESC
    ) AS l
    INNER JOIN entasis.keep_periods AS k ON l.relation OPERATOR(pg_catalog.=) k.relation
    INNER JOIN pg_catalog.pg_class AS c
        ON c.relname::pg_catalog.text OPERATOR(pg_catalog.=) l.detail
    INNER JOIN pg_catalog.pg_namespace AS n
        ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND n.nspname::pg_catalog.text
                OPERATOR(pg_catalog.=) ANY (ARRAY['entasis_internal', 'entasis'])
    LEFT OUTER JOIN entasis_internal.known_partitions AS s
        ON l.relation OPERATOR(pg_catalog.=) s.relation
            AND l.detail OPERATOR(pg_catalog.=) s.partition_name
    WHERE l.action OPERATOR(pg_catalog.=) 'detach' AND NOT c.relispartition
        AND NOT (k.archived AND s.partition_name IS NULL)
    ORDER BY k.derived_from IS NOT NULL, l.relation, l.detail
"""


def _detach(
    connection: psycopg.Connection[Any], relation: str, partition: sql.Identifier, how: sql.SQL
) -> None:
    execute(
        connection,
        sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}").format(
            sql.Identifier("entasis", relation),
            partition,
            how,
        ),
    )


def _drop(
    connection: psycopg.Connection[Any],
    relation: str,
    name: tuple[str, str],
    bounds: Sequence[datetime | None],
    progress: Progress,
) -> bool:
    """Drop what was detached; or attach it again, when its archive does not hold exactly this."""
    schema, partition = name
    table = sql.Identifier(schema, partition)
    try:
        with connection.transaction():
            execute(connection, sql.SQL("LOCK TABLE {}").format(table))
            execute(
                connection,
                "SELECT entasis_internal.check_archive_and_record_drop("
                "pg_catalog.to_regclass("
                "pg_catalog.format('%%I.%%I', %s::pg_catalog.text, %s::pg_catalog.text)),"
                " %s, %s, %s)",
                *(schema, partition, relation, *bounds),
            )
            execute(connection, sql.SQL("DROP TABLE {}").format(table))
            # caches may have read it again between the rise of the floor and its detaching
            execute(connection, "SELECT entasis.flush_caches()")
            _log(connection, "drop", relation, partition)
    except psycopg.errors.IntegrityConstraintViolation as error:
        progress(f"{partition} is attached again: {error.diag.message_primary}")
        with connection.transaction():
            execute(
                connection,
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier("entasis", relation),
                    table,
                    *(sql.Literal(untyped(bound)) for bound in bounds),
                ),
            )
            execute(
                connection,
                "SELECT entasis_internal.mark_archive_stale(%s, %s, %s)",
                *(relation, *bounds),
            )
            execute(connection, "SELECT entasis.flush_caches()")
            _log(connection, "attach", relation, partition)
        return False
    return True


def _log(connection: psycopg.Connection[Any], action: str, relation: str, partition: str) -> None:
    execute(
        connection,
        "INSERT INTO entasis.maintenance_log (action, relation, detail) VALUES (%s, %s, %s)",
        *(action, relation, partition),
    )
