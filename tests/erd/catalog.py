"""What the catalog says of the relations of schema entasis, by subject."""

import re
from dataclasses import dataclass
from typing import Any

import psycopg

from entasis_db.resources import schema_order

ENGINE = "postgresql"

SHARED = {
    "markets": ("symbol", "exchange"),
    "keep_periods": ("relation",),
    "user_logins": ("user_id",),
}
"""Which relation a key is told in, for those that have its columns and no foreign key: what is
loaded makes the row if there is none, or a trigger or policy looks at it."""

_TYPES = {
    "timestamp with time zone": "timestamptz",
    "double precision": "float8",
    "character varying": "varchar",
}


@dataclass(frozen=True)
class Column:
    """A column of a relation."""

    name: str
    kind: str
    key: bool
    """Whether it is part of the primary key."""
    nullable: bool


@dataclass(frozen=True)
class Relation:
    """A table or view of schema entasis."""

    name: str
    subject: str
    """The room of schema/ in which its file is."""
    is_view: bool
    meaning: str
    """The first sentence of its comment."""
    columns: tuple[Column, ...]


@dataclass(frozen=True, order=True)
class Edge:
    """How two relations belong together."""

    kind: str
    """``foreign key``: the server keeps it. ``computed``: a view reads it. ``shared key``: the
    columns are the same, and no constraint says so."""
    of: str
    to: str
    columns: tuple[str, ...] = ()


_RELATIONS = """
    SELECT c.relname::text, c.relkind = 'v', coalesce(obj_description(c.oid, 'pg_class'), ''),
        ARRAY(
            SELECT ARRAY[
                a.attname::text, format_type(a.atttypid, NULL), a.attnotnull::text,
                (a.attnum = ANY (coalesce(k.indkey::int2[], '{}')))::text
            ]
            FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attnum
        )
    FROM pg_class AS c
    LEFT JOIN pg_index AS k ON k.indrelid = c.oid AND k.indisprimary
    WHERE c.relnamespace = 'entasis'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    ORDER BY c.relname::text
"""
_FOREIGN = """
    SELECT c.relname::text, t.relname::text, ARRAY(
        SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS n (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = n.attnum ORDER BY n.place)
    FROM pg_constraint AS k
    JOIN pg_class AS c ON k.conrelid = c.oid
    JOIN pg_class AS t ON k.confrelid = t.oid
    WHERE k.contype = 'f' AND k.conparentid = 0
        AND c.relnamespace = 'entasis'::regnamespace AND t.relnamespace = 'entasis'::regnamespace
"""
_COMPUTED = """
    SELECT DISTINCT v.relname::text, t.relname::text
    FROM pg_rewrite AS r
    JOIN pg_class AS v ON r.ev_class = v.oid AND v.relkind = 'v'
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
    JOIN pg_class AS t ON d.refobjid = t.oid
    WHERE v.relnamespace = 'entasis'::regnamespace AND t.relnamespace = 'entasis'::regnamespace
        AND t.relkind IN ('r', 'p', 'v')
"""


def subjects() -> dict[str, str]:
    """The room of each relation, by the place of its file in schema/."""
    order = schema_order(ENGINE)
    rooms: dict[str, str] = {}
    for path in (*order.state, *order.stateless):
        text = path.read_text(encoding="utf-8")
        made = re.findall(r"^CREATE [A-Z ]*(?:TABLE|VIEW) [A-Z ]*entasis\.(\w+)", text, re.M)
        room = path.parts[path.parts.index("schema") + 2]
        rooms |= dict.fromkeys(made, room)
    return rooms


def relations(connection: psycopg.Connection[Any]) -> list[Relation]:
    """Read every relation of schema entasis."""
    rooms = subjects()
    found = []
    for name, is_view, comment, columns in connection.execute(_RELATIONS).fetchall():
        meaning = re.split(r"(?<=[^.])[.:;](?:\s|$)", comment, maxsplit=1)[0]
        found.append(
            Relation(
                name,
                rooms[name],
                is_view,
                meaning,
                tuple(
                    Column(column, _kind(kind), key == "true", not_null == "false")
                    for column, kind, not_null, key in columns
                ),
            )
        )
    return found


def edges(connection: psycopg.Connection[Any], found: list[Relation]) -> list[Edge]:
    """Say which relations belong together, and by what."""
    made = {
        *(Edge("foreign key", of, to, tuple(c)) for of, to, c in _rows(connection, _FOREIGN)),
        *(Edge("computed", of, to) for of, to in _rows(connection, _COMPUTED)),
    }
    # what the server keeps by the same columns leads there, too
    kept = {(edge.of, edge.columns) for edge in made}
    for one in found:
        names = {column.name for column in one.columns}
        for to, columns in SHARED.items():
            has_key = one.name != to and not one.is_view and names.issuperset(columns)
            if has_key and (one.name, columns) not in kept:
                made.add(Edge("shared key", one.name, to, columns))
    return sorted(made)


def _rows(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def _kind(kind: str) -> str:
    plain = _TYPES.get(kind, kind).replace("entasis.", "")
    return re.sub(r"\W+", "_", plain.replace("[]", "_list")).strip("_")
