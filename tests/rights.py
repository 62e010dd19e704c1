"""Every right that anybody has on anything of Entasis DB: in the catalog, and on the page."""

from pathlib import Path
from typing import Any

import psycopg

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rights.md"
EVERY_ENGINE = "Every engine"

Row = tuple[str, ...]
"""The heading that a row stands under, and its cells."""

_GRANTEES = ("reader", "writer", "admin", "service", "monitor", "jobs", "everybody")
_OURS = "IN ('entasis', 'entasis_internal', 'entasis_migrations')"


def _granted(acl: str, kind: str, owner: str) -> str:
    """Return the SQL of what is granted to whom but owners; a star: with grant option."""
    return f"""
        SELECT jsonb_object_agg(g.grantee, g.rights)
        FROM (
            SELECT
                CASE
                    WHEN a.grantee = 0 THEN 'everybody'
                    ELSE regexp_replace(pg_get_userbyid(a.grantee), '^entasis_', '')
                END AS grantee,
                string_agg(
                    lower(a.privilege_type) || CASE WHEN a.is_grantable THEN '*' ELSE '' END,
                    ', ' ORDER BY
                        array_position(ARRAY['SELECT', 'INSERT', 'UPDATE'], a.privilege_type),
                        a.privilege_type
                ) AS rights
            FROM (
                SELECT DISTINCT x.grantee, x.privilege_type, x.is_grantable
                FROM aclexplode(coalesce({acl}, acldefault({kind}, {owner}))) AS x
            ) AS a
            WHERE a.grantee NOT IN ({owner}, 'entasis_owner'::regrole)
            GROUP BY a.grantee
        ) AS g
    """


_RELATION = "CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\""
_RELATIONS = f"""
    SELECT
        CASE c.relkind WHEN 'S' THEN 'Sequences' ELSE 'Tables and views' END,
        format('%I.%I', n.nspname, c.relname),
        CASE
            WHEN c.relkind <> 'v' THEN ''
            WHEN c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on'] THEN 'caller'
            ELSE 'owner'
        END,
        ({_granted("c.relacl", _RELATION, "c.relowner")})
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE n.nspname {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT c.relispartition
"""
_QUERIES = (
    f"""
    SELECT 'Schemas', n.nspname, '', ({_granted("n.nspacl", "'n'", "n.nspowner")})
    FROM pg_namespace AS n WHERE n.nspname LIKE 'entasis%'
    """,
    _RELATIONS,
    f"""
    SELECT
        'Columns', format('%I.%I.%I', n.nspname, c.relname, a.attname), '',
        ({_granted("a.attacl", "'c'", "c.relowner")})
    FROM pg_attribute AS a
    INNER JOIN pg_class AS c ON a.attrelid = c.oid
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE n.nspname {_OURS} AND a.attacl IS NOT NULL
    """,
    f"""
    SELECT
        'Routines', format('%I.%I', n.nspname, p.proname),
        CASE
            WHEN p.prosecdef THEN regexp_replace(pg_get_userbyid(p.proowner), '^entasis_', '')
            ELSE 'caller'
        END,
        ({_granted("p.proacl", "'f'", "p.proowner")})
    FROM pg_proc AS p INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
    WHERE n.nspname {_OURS}
    """,
    f"""
    SELECT
        'Types', format('%I.%I', n.nspname, t.typname), '',
        ({_granted("t.typacl", "'T'", "t.typowner")})
    FROM pg_type AS t INNER JOIN pg_namespace AS n ON t.typnamespace = n.oid
    WHERE n.nspname {_OURS} AND t.typtype IN ('e', 'd')
    """,
    # a partition, a chunk and a table that TimescaleDB keeps beside it have names of their own
    f"""
    SELECT
        'Tables and views', x.name, '', ({_granted("x.acl", "'r'", "x.owner")})
    FROM (
        SELECT
            CASE n.nspname
                WHEN 'entasis_internal' THEN 'partitions'
                ELSE 'chunks, and what TimescaleDB keeps of aggregates'
            END AS name,
            c.relowner AS owner,
            array_agg(e.acl) AS acl
        FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
        CROSS JOIN LATERAL unnest(coalesce(c.relacl, acldefault('r', c.relowner))) AS e (acl)
        WHERE (n.nspname = 'entasis_internal' AND c.relispartition)
            OR (n.nspname = '_timescaledb_internal' AND c.relowner = 'entasis_owner'::regrole)
        GROUP BY 1, 2
    ) AS x
    """,
    f"""
    SELECT
        'New objects',
        CASE d.defaclobjtype
            WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'routines'
            WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE d.defaclobjtype::text
        END || coalesce(' in ' || nullif(d.defaclnamespace, 0)::regnamespace, '')
        || ' of ' || d.defaclrole::regrole,
        '', ({_granted("d.defaclacl", "d.defaclobjtype", "d.defaclrole")})
    FROM pg_default_acl AS d
    """,
)
_ROLES = """
    SELECT
        'Roles', r.rolname,
        concat_ws(
            ', ',
            CASE WHEN r.rolcanlogin THEN 'can log in' END,
            CASE WHEN r.rolconnlimit <> -1 THEN 'at most ' || r.rolconnlimit || ' sessions' END,
            CASE WHEN r.rolsuper THEN 'superuser' END,
            CASE WHEN r.rolcreatedb THEN 'creates databases' END,
            CASE WHEN r.rolcreaterole THEN 'creates roles' END,
            CASE WHEN r.rolreplication THEN 'replicates' END,
            CASE WHEN r.rolbypassrls THEN 'passes by row-level security' END
        ),
        coalesce((
            SELECT string_agg(m.roleid::regrole::text, ', ' ORDER BY m.roleid::regrole::text)
            FROM pg_auth_members AS m WHERE m.member = r.oid
        ), '')
    FROM pg_roles AS r
    WHERE r.rolname IN ('entasis_owner', 'entasis_reader', 'entasis_writer', 'entasis_admin',
        'entasis_service', 'entasis_monitor', 'entasis_jobs')
"""
_POLICIES = """
    SELECT
        'Row-level security', format('%I.%I', n.nspname, c.relname),
        coalesce(p.polname, 'no policy'),
        coalesce((
            SELECT string_agg(
                coalesce(pg_get_userbyid(nullif(x.role, 0)), 'everybody'), ', ' ORDER BY x.role
            ) FROM unnest(p.polroles) AS x (role)
        ), '')
    FROM pg_class AS c
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    LEFT OUTER JOIN pg_policy AS p ON c.oid = p.polrelid
    WHERE n.nspname LIKE 'entasis%' AND (c.relrowsecurity OR p.oid IS NOT NULL)
"""


def of_database(connection: psycopg.Connection[Any]) -> set[Row]:
    """Return a row for everything on which anybody but its owner has a right, and for the roles."""
    found: set[Row] = set()
    for query in _QUERIES:
        for heading, name, runs_as, granted in connection.execute(query):
            # somebody else's own is no right that was granted: it has its test
            if granted or heading == "New objects":
                rights = dict(granted or {})
                cells = [rights.pop(grantee, "") for grantee in _GRANTEES]
                others = "; ".join(f"{grantee}: {right}" for grantee, right in rights.items())
                shown = [runs_as] if heading in ("Routines", "Tables and views") else []
                found.add((heading, name, *shown, *cells, *filter(None, [others])))
    for query in (_ROLES, _POLICIES):
        found.update(connection.execute(query))
    return found


def of_page(engine: str) -> set[Row]:
    """Return the rows of the page that hold on an engine."""
    found: dict[str, set[Row]] = {EVERY_ENGINE: set(), f"Engine {engine}": set()}
    scope = heading = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            scope = line.removeprefix("## ").replace("`", "")
        elif line.startswith("### "):
            heading = line.removeprefix("### ")
        elif line.startswith("| `") and scope in found:
            cells = (cell.strip().strip("`") for cell in line.split("|")[1:-1])
            found[scope].add((heading, *cells))
    every, own = found.values()
    named = {row[:2] for row in own}
    # what an engine's own part has stands in the place of what every engine has
    return {row for row in every if row[:2] not in named} | own


def line(row: Row) -> str:
    """Return a row as the page has it."""
    return f"| `{row[1]}` | " + "".join(f"{cell} | " for cell in row[2:]).rstrip()
