"""What a database holds, in numbers that another can be compared by."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from entasis_db import catalog
from entasis_db.citus import tell_nodes
from entasis_db.copies.tables import DROPPED
from entasis_db.cursors import execute
from entasis_db.drift import drift

# what is written to a table that is not logged does not outlive its session
_RELATIONS = """
    SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
        ARRAY(
            SELECT ARRAY[a.attname::pg_catalog.text,
                pg_catalog.format_type(a.atttypid, NULL)]
            FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid
                AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
            ORDER BY a.attnum
        )
    FROM pg_catalog.pg_class AS c
    INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
    WHERE n.nspname::pg_catalog.text
            OPERATOR(pg_catalog.=) ANY (ARRAY['entasis', 'entasis_internal', 'entasis_migrations'])
        AND NOT c.relispartition
        AND c.relpersistence OPERATOR(pg_catalog.<>) 'u'::pg_catalog."char"
        AND (
            c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
            OR c.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog."char"
            AND n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) 'entasis'
            AND c.relname::pg_catalog.text OPERATOR(pg_catalog.~) '^ohlcv_'
        )
    ORDER BY 1, 2
"""
_SEQUENCES = """
    SELECT pg_catalog.format('%I.%I', s.schemaname, s.sequencename), s.last_value
    FROM pg_catalog.pg_sequences AS s
    WHERE s.schemaname::pg_catalog.text
            OPERATOR(pg_catalog.=) ANY (ARRAY['entasis', 'entasis_internal', 'entasis_migrations'])
    ORDER BY 1
"""
_FLOORS = """
    SELECT f.relation, f.floor::pg_catalog.text FROM entasis.floors AS f ORDER BY f.relation
"""
# nodes of a cluster write values, too, and hear of SET alone
_AS_WRITTEN = (
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL datestyle = 'ISO'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
)
_AS_READ = """
    SELECT pg_catalog.set_config(s.name, s.value, true)
    FROM (VALUES
        ('client_encoding', 'UTF8'),
        ('search_path', 'pg_catalog, pg_temp'), ('quote_all_identifiers', 'off'),
        ('statement_timeout', '0'), ('lock_timeout', '0'), ('jit', 'off'), ('row_security', 'off'),
        ('idle_in_transaction_session_timeout', '0')
    ) AS s (name, value)
"""


@dataclass(frozen=True)
class Relation:
    """How many rows a relation has, and what they come to."""

    rows: int
    checksum: int
    """Sum of a 128-bit digest of each row: that of its columns in the order of their names, and
    of numbers without trailing zeros. 0 when there is none."""
    months: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The same by calendar month (UTC) where rows have a time: ``2024-08``."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Relation":
        """Read what json has made of one."""
        months = {month: (rows, checksum) for month, (rows, checksum) in value["months"].items()}
        return cls(value["rows"], value["checksum"], months)


@dataclass(frozen=True)
class Content:
    """What a database holds, as of one snapshot."""

    relations: dict[str, Relation]
    """Every table of Entasis DB's schemas but those that are not logged, and candles at every
    level; what of ``entasis.archives`` another engine takes over is listed by itself."""
    sequences: dict[str, int | None]
    """The last number that each gave out."""
    floors: dict[str, str]
    owners: dict[str, str]
    """Who owns each object."""
    security: dict[str, tuple[bool, bool]]
    """Of each table whether it has row-level security, and whether for its owner too."""
    policies: list[str]
    rights: list[str]
    """Who may do what, a line each."""
    triggers: list[str]
    drift: tuple[str, ...]
    """What was not as a migration leaves it."""

    def to_json(self) -> dict[str, Any]:
        """Return what from_json() reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Content":
        """Read what to_json() has returned."""
        rest = {name: part for name, part in value.items() if name != "relations"}
        rest["security"] = {name: (on, forced) for name, (on, forced) in rest["security"].items()}
        rest["drift"] = tuple(rest["drift"])
        return cls(
            {name: Relation.from_json(one) for name, one in value["relations"].items()}, **rest
        )


@contextmanager
def snapshot(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Have all that is read inside be of one moment, and written in one way.

    On engine citus, what is read of a node is of one moment.
    """
    with connection.transaction():
        execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        tell_nodes(connection)
        for setting in _AS_WRITTEN:
            execute(connection, setting)
        execute(connection, _AS_READ)
        yield


def columns(connection: psycopg.Connection[Any]) -> dict[str, list[tuple[str, str]]]:
    """Return the relations that hold rows, each with the names and types of its columns."""
    return {
        f"{schema}.{name}": [(column, kind) for column, kind in found]
        for schema, name, found in execute(connection, _RELATIONS)
    }


def content(connection: psycopg.Connection[Any], engine: str, run: int) -> Content:
    """Read what the database holds, within snapshot(). Every row is read.

    Of runs, those count that began before this one: its own end is not in its snapshot.
    """
    earlier = sql.SQL("r.id OPERATOR(pg_catalog.<) {}").format(sql.Literal(run))
    relations, spread = {}, engine == "citus"
    for name, found in columns(connection).items():
        relations[name] = _relation(
            connection, name, found, earlier if name == "entasis.runs" else None, spread=spread
        )
        if name in DROPPED:
            relations[f"{name} of what was dropped"] = _relation(
                connection, name, found, DROPPED[name], spread=spread
            )
    return Content(
        relations=relations,
        sequences=dict(execute(connection, _SEQUENCES)),
        floors=dict(execute(connection, _FLOORS)),
        owners={each.identity: each.owner for each in catalog.objects(connection)},
        security=catalog.security(connection),
        policies=sorted(str(each) for each in catalog.policies(connection)),
        rights=sorted(
            f"{each.role} may {each.right} {each.name}" for each in catalog.rights(connection)
        ),
        triggers=sorted(
            f"{each.name} of {each.relation}" + ("" if each.enabled else ", disabled")
            for each in catalog.triggers(connection)
            # PostgreSQL and TimescaleDB name their own by number
            if not each.internal and not each.of_aggregate
        ),
        drift=drift(connection, engine),
    )


def _relation(
    connection: psycopg.Connection[Any],
    name: str,
    found: list[tuple[str, str]],
    where: sql.Composable | None = None,
    *,
    spread: bool,
) -> Relation:
    kinds = dict(found)
    times = [
        column
        for column in ("timestamp", "bucket")
        if kinds.get(column) == "timestamp with time zone"
    ]
    month: sql.Composable = sql.SQL("NULL")
    if times:
        month = sql.SQL(
            "CASE WHEN pg_catalog.isfinite(r.{0})"
            " THEN pg_catalog.to_char(r.{0}, 'YYYY-MM') ELSE 'never' END"
        ).format(sql.Identifier(times[0]))
    rows = execute(
        connection,
        sql.SQL(
            "SELECT h.month, pg_catalog.count(*), coalesce("
            "pg_catalog.sum(h.digest::pg_catalog.bit(64)::pg_catalog.int8)"
            " OPERATOR(pg_catalog.*) 18446744073709551616"
            " OPERATOR(pg_catalog.+) pg_catalog.sum((h.digest OPERATOR(pg_catalog.<<) 64)"
            "::pg_catalog.bit(64)::pg_catalog.int8), 0)"
            " FROM (SELECT {month}::pg_catalog.text AS month,"
            " ('x' OPERATOR(pg_catalog.||) pg_catalog.md5(ROW({values})::pg_catalog.text))"
            "::pg_catalog.bit(128) AS digest FROM {relation} AS r WHERE {where}{apart}) AS h"
            " GROUP BY h.month ORDER BY h.month"
        ).format(
            month=month,
            values=sql.SQL(", ").join(
                sql.SQL("pg_catalog.trim_scale({})" if kind == "numeric" else "{}").format(
                    sql.Identifier("r", column)
                )
                for column, kind in sorted(found)
            ),
            relation=sql.Identifier(*name.split(".")),
            where=sql.SQL("TRUE") if where is None else where,
            # a digest is computed once; Citus would bring all rows here to do so
            apart=sql.SQL("" if spread else " OFFSET '0'"),
        ),
    )
    return Relation(
        sum(count for _, count, _ in rows),
        sum(int(checksum) for _, _, checksum in rows),
        {at: (count, int(checksum)) for at, count, checksum in rows if at is not None},
    )


NOTHING = Content({}, {}, {}, {}, {}, [], [], [], ())
