"""What a server does to answer a query, read from EXPLAIN: properties, never the plan's text.

EXPLAIN does not look into functions that are not inlined. What these read, counters tell.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import psycopg
from psycopg import sql

from entasis_db.queries import Statement

Mode = Literal["custom", "generic"]

_PARAMETER = re.compile(r"%\((\w+)\)s")


def numbered(text: str) -> tuple[str, list[str]]:
    """Turn ``%(name)s`` into ``$1``, as PREPARE wants it; with the names in order."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    return _PARAMETER.sub(number, text).replace("%%", "%"), names


@dataclass(frozen=True)
class Node:
    """One node of a plan that was run."""

    type: str
    relation: str | None
    """The table that it reads."""
    index: str | None
    """The index that it reads."""
    loops: int
    """How often it was run; 0 when the plan has it but never needed it."""
    rows: float
    """Rows that it returned, over all loops. PostgreSQL 15 gives a rounded average of the loops."""
    read: float
    """Rows that it looked at, over all loops: those returned and those that a filter took away."""
    init: bool
    """Whether it is an InitPlan: computed once, and not for each row."""


@dataclass(frozen=True)
class Plan:
    """A plan as it was run: nodes that were never executed are not in it."""

    nodes: tuple[Node, ...]
    roots: dict[str, str] = field(repr=False)
    """The partitioned index that an index of a partition belongs to."""

    def relations(self) -> set[str]:
        """Name the tables that were opened, partitions by their own names."""
        return {n.relation for n in self.nodes if n.relation is not None}

    def indexes(self) -> set[str]:
        """Name the indexes that were read, those of partitions by their partitioned index."""
        named = {self.roots.get(n.index, n.index) for n in self.nodes if n.index is not None}
        return {_same_name(name) for name in named}

    def sorts(self) -> list[Node]:
        """Return the nodes that put rows in order. A Sort that got no row did not."""
        return [n for n in self.nodes if n.type in ("Sort", "Incremental Sort") and n.rows]

    def seq_scans(self) -> set[str]:
        """Name the tables that were read from end to end."""
        return {n.relation for n in self.nodes if n.type == "Seq Scan" and n.relation is not None}

    def rows_read(self) -> float:
        """Count the rows and index entries that were looked at in tables."""
        return sum(n.read for n in self.nodes if n.relation is not None)


def explain(
    connection: psycopg.Connection[Any], statement: Statement[Any], mode: Mode = "custom"
) -> Plan:
    """Run a statement as a prepared one with a custom or generic plan, and return what was done.

    The plan mode of the session stays as it is set here.
    """
    text, names = numbered(statement.sql)
    connection.execute(f"SET plan_cache_mode = force_{mode}_plan")
    connection.execute(f"PREPARE explained AS {text}")
    try:
        values = sql.SQL(", ").join(sql.Literal(statement.params[name]) for name in names)
        row = connection.execute(
            sql.SQL("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE explained{}").format(
                sql.SQL("({})").format(values) if names else sql.SQL("")
            )
        ).fetchone()
    finally:
        connection.execute("DEALLOCATE explained")
    assert row is not None
    return Plan(tuple(_walk(row[0][0]["Plan"])), _roots(connection))


def _walk(node: dict[str, Any]) -> Iterator[Node]:
    loops = node["Actual Loops"]
    if loops:
        rows = node["Actual Rows"] * loops
        removed = sum(value for key, value in node.items() if key.startswith("Rows Removed by"))
        # a ChunkAppend bears its hypertable's name, and opens only what is below it
        append = node.get("Custom Plan Provider") in ("ChunkAppend", "ConstraintAwareAppend")
        yield Node(
            node["Node Type"],
            None if append else node.get("Relation Name"),
            node.get("Index Name"),
            loops,
            rows,
            rows + removed * loops,
            node.get("Parent Relationship") == "InitPlan",
        )
    for child in node.get("Plans", ()):
        yield from _walk(child)


# TimescaleDB names the indexes of chunks after the chunk and the hypertable's index.
_OF_CHUNK = re.compile(r"^(?:_hyper_\d+_\d+_chunk_|(?:\d+_)+)(.*)$")
# An aggregate's hypertable has an index on the bucket of its own.
_BUCKET = re.compile(r"^_materialized_hypertable_\d+_bucket_idx$")
# The key of stored candles is a primary key where they are tables, an index where aggregates.
_KEY = re.compile(r"^(ohlcv_1[mhd])_pkey$")


def _same_name(index: str) -> str:
    """Name an index as it is named on every engine."""
    return _KEY.sub(r"\1_key", _BUCKET.sub("bucket_idx", _OF_CHUNK.sub(r"\1", index)))


def _roots(connection: psycopg.Connection[Any]) -> dict[str, str]:
    rows = connection.execute(
        """
        SELECT part.relname::text, whole.relname::text
        FROM pg_inherits AS i
        INNER JOIN pg_class AS part ON part.oid = i.inhrelid
        INNER JOIN pg_class AS whole ON whole.oid = i.inhparent
        WHERE part.relkind = 'i'
        """
    )
    return dict(rows.fetchall())


def explain_candles(
    connection: psycopg.Connection[Any], statement: Statement[Any], mode: Mode = "custom"
) -> Plan:
    """Explain candles, apart from how turnover follows: two look-ups of the market, once each."""
    plan = explain(connection, statement, mode)
    rates = [node for node in plan.nodes if node.relation == "markets"]
    assert len(rates) <= 2
    assert all(node.init and node.loops == 1 and node.index == "markets_pkey" for node in rates)
    return replace(plan, nodes=tuple(node for node in plan.nodes if node not in rates))


@dataclass(frozen=True)
class Reads:
    """What a statement read, with all functions that it called, but for the catalogs."""

    rows: dict[str, int]
    """Rows and index entries looked at, by table; partitions and chunks by their own names.

    A table that was searched and had none is here with 0. What an index passes inside itself,
    because a later column of the key is another, is in ``blocks`` alone.
    """
    indexes: frozenset[str]
    """Indexes that were searched, those of partitions by their partitioned index."""
    seq_scans: frozenset[str]
    """Tables with rows that were read from end to end."""
    blocks: int
    """Blocks of tables and indexes, those that the planner looks at too."""
    locked: frozenset[str]
    """Tables that a plan had, whether they were read or not."""


_COUNTERS = """
    SELECT
        c.relname::text,
        c.relkind::text,
        coalesce(t.relname, c.relname)::text,
        pg_stat_get_xact_numscans(c.oid),
        pg_stat_get_xact_tuples_returned(c.oid),
        pg_stat_get_xact_blocks_fetched(c.oid)
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
    LEFT JOIN pg_class AS t ON t.oid = i.indrelid
    WHERE c.relkind IN ('r', 'i') AND n.nspname !~ '^(pg_|information_schema$|_timescaledb_c)'
"""
_LOCKED = """
    SELECT DISTINCT c.relname::text FROM pg_locks AS l
    INNER JOIN pg_class AS c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid() AND c.relkind = 'r'
"""


def count_reads(
    connection: psycopg.Connection[Any], statement: Statement[Any], mode: Mode = "custom"
) -> Reads:
    """Run a statement, and return what it read by the server's counters.

    Statements inside PL/pgSQL are planned in the same mode, if their function does not set one.
    """
    roots = _roots(connection)
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL plan_cache_mode = force_{mode}_plan")
        before = {row[0]: row[3:] for row in connection.execute(_COUNTERS)}
        connection.execute(statement.sql.encode(), statement.params).fetchall()
        after = connection.execute(_COUNTERS).fetchall()
        locked = frozenset(name for (name,) in connection.execute(_LOCKED))
    rows: dict[str, int] = {}
    indexes, seq_scans, blocks = set(), set(), 0
    for name, kind, table, *counts in after:
        # a job may make a table meanwhile
        begun = before.get(name, (0, 0, 0))
        scans, returned, fetched = (b - a for a, b in zip(begun, counts, strict=True))
        blocks += fetched
        if not scans:
            continue
        rows[table] = rows.get(table, 0) + returned
        if kind == "i":
            indexes.add(_same_name(roots.get(name, name)))
        elif returned:
            seq_scans.add(name)
    return Reads(rows, frozenset(indexes), frozenset(seq_scans), blocks, locked)
