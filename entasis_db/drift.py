"""What was changed by hand in a database, of what ``migrate`` asserts: owners, switches, rights."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import psycopg

from entasis_db.cursors import Cursor
from entasis_db.resources import schema_order

_OWNERS = """
    SELECT pg_catalog.format('%s belongs to %s', i.identity, pg_catalog.pg_get_userbyid(o.owner))
    FROM (
        SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass AS class, n.oid, n.nspowner AS owner,
            n.nspname
        FROM pg_catalog.pg_namespace AS n
        UNION ALL
        SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, c.relowner, n.nspname
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
        WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,S}'::pg_catalog."char"[])
        UNION ALL
        SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.proowner, n.nspname
        FROM pg_catalog.pg_proc AS p
        JOIN pg_catalog.pg_namespace AS n ON p.pronamespace OPERATOR(pg_catalog.=) n.oid
    ) AS o
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.class::pg_catalog.oid, o.oid, 0) AS i
    WHERE o.nspname::pg_catalog.text OPERATOR(pg_catalog.=)
            ANY (ARRAY['entasis', 'entasis_internal', 'entasis_migrations'])
        AND pg_catalog.pg_get_userbyid(o.owner)::pg_catalog.text OPERATOR(pg_catalog.<>)
            ALL (ARRAY['entasis_owner', 'entasis_jobs'])
    ORDER BY 1
"""

_SWITCHES = """
    SELECT pg_catalog.format('trigger %s of %s is disabled', t.tgname,
        t.tgrelid::pg_catalog.regclass)
    FROM pg_catalog.pg_trigger AS t
    JOIN pg_catalog.pg_proc AS p ON t.tgfoid OPERATOR(pg_catalog.=) p.oid
    WHERE NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.<>) 'O'::pg_catalog."char"
        AND p.pronamespace OPERATOR(pg_catalog.=)
            pg_catalog.to_regnamespace('entasis_internal')::pg_catalog.oid
    UNION ALL
    SELECT 'row-level security of entasis.portfolio_status is off'
    FROM pg_catalog.pg_class AS c
    WHERE c.oid OPERATOR(pg_catalog.=)
        pg_catalog.to_regclass('entasis.portfolio_status')::pg_catalog.oid
        AND NOT c.relrowsecurity
    UNION ALL
    SELECT pg_catalog.format('there is a policy %s on entasis.portfolio_status', l.polname)
    FROM pg_catalog.pg_policy AS l
    WHERE l.polrelid OPERATOR(pg_catalog.=)
        pg_catalog.to_regclass('entasis.portfolio_status')::pg_catalog.oid
        AND l.polname::pg_catalog.text OPERATOR(pg_catalog.<>)
            ALL (ARRAY['own_positions', 'all_positions'])
    ORDER BY 1
"""

_GRANT = re.compile(
    r"^GRANT ([A-Z, ]+?) ON\s+(?:(FUNCTION|PROCEDURE|SEQUENCE)\s+)?([^;()]+?)\s+TO ([a-z_, ]+);",
    re.MULTILINE,
)

# of routines, none is overloaded
_LOST = """
    SELECT pg_catalog.format('%%s has lost %%s on %%s', w.role, w.wanted, w.name)
    FROM ROWS FROM (
        pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.text[]),
        pg_catalog.unnest(%s::pg_catalog.text[]), pg_catalog.unnest(%s::pg_catalog.text[])
    ) AS w (kind, name, role, wanted)
    WHERE NOT coalesce(
        CASE
            WHEN pg_catalog.to_regrole(w.role) IS NULL THEN false
            WHEN w.kind OPERATOR(pg_catalog.=) 'FUNCTION' THEN pg_catalog.has_function_privilege(
                pg_catalog.to_regrole(w.role)::pg_catalog.oid,
                pg_catalog.to_regproc(w.name)::pg_catalog.oid, w.wanted)
            WHEN w.kind OPERATOR(pg_catalog.=) 'SEQUENCE' THEN pg_catalog.has_sequence_privilege(
                pg_catalog.to_regrole(w.role)::pg_catalog.oid,
                pg_catalog.to_regclass(w.name)::pg_catalog.oid, w.wanted)
            ELSE pg_catalog.has_table_privilege(
                pg_catalog.to_regrole(w.role)::pg_catalog.oid,
                pg_catalog.to_regclass(w.name)::pg_catalog.oid, w.wanted)
        END,
        false
    )
"""


def drift(connection: psycopg.Connection[Any], engine: str) -> tuple[str, ...]:
    """Return what differs from what ``migrate`` would assert, a clause each; changes nothing.

    ``connection`` may be anybody's. Raises psycopg.Error when the server refuses.
    """
    with Cursor(connection) as cursor:
        found = [text for (text,) in cursor.execute(_OWNERS.encode()).fetchall()]
        found += [text for (text,) in cursor.execute(_SWITCHES.encode()).fetchall()]
        wanted = [list(column) for column in zip(*_granted(engine), strict=True)]
        found += [text for (text,) in cursor.execute(_LOST.encode(), wanted).fetchall()]
    return tuple(found)


def _granted(engine: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield the kind, the name, the role and the right of what schema/ grants."""
    for file in schema_order(engine).stateless:
        if file.parent.name != "grants":
            continue
        text = re.sub(r"--.*", "", file.read_text(encoding="utf-8"))
        for rights, kind, names, roles in _GRANT.findall(text):
            if names.startswith("SCHEMA"):
                continue
            lists = [
                [word.strip() for word in words.split(",")] for words in (names, roles, rights)
            ]
            for name, role, right in product(*lists):
                yield "FUNCTION" if kind == "PROCEDURE" else kind, name, role, right
