"""What a database has in our schemas, as its catalogs tell anybody who may connect."""

from typing import Any, NamedTuple

import psycopg

from entasis_db.cursors import execute
from entasis_db.expected import SECURED, Policy, Right, Trigger, trigger

SCHEMAS = ("entasis", "entasis_internal", "entasis_migrations")
ROLES = (
    "entasis_owner",
    "entasis_reader",
    "entasis_writer",
    "entasis_admin",
    "entasis_service",
    "entasis_monitor",
)

# what an extension has made is left out, and a sequence goes with the table whose column it fills
_OBJECTS = """
    SELECT o.kind, o.schema, o.name, o.identity,
        pg_catalog.pg_get_userbyid(o.owner)::pg_catalog.text,
        (
            SELECT pg_catalog.format('%s.%s', pn.nspname, p.relname)
            FROM pg_catalog.pg_inherits AS i
            INNER JOIN pg_catalog.pg_class AS p ON i.inhparent OPERATOR(pg_catalog.=) p.oid
            INNER JOIN pg_catalog.pg_namespace AS pn
                ON p.relnamespace OPERATOR(pg_catalog.=) pn.oid
            WHERE o.kind OPERATOR(pg_catalog.=) 'TABLE'
                AND i.inhrelid OPERATOR(pg_catalog.=) o.oid
            LIMIT 1
        )
    FROM (
        SELECT 'SCHEMA' AS kind, n.nspname::pg_catalog.text AS schema,
            n.nspname::pg_catalog.text AS name,
            pg_catalog.quote_ident(n.nspname) AS identity, n.nspowner AS owner, n.oid,
            'pg_catalog.pg_namespace'::pg_catalog.regclass AS class
        FROM pg_catalog.pg_namespace AS n
        UNION ALL
        SELECT CASE
                WHEN c.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog."char" THEN 'VIEW'
                WHEN c.relkind OPERATOR(pg_catalog.=) 'S'::pg_catalog."char" THEN 'SEQUENCE'
                ELSE 'TABLE'
            END,
            n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relowner,
            c.oid, 'pg_catalog.pg_class'::pg_catalog.regclass
        FROM pg_catalog.pg_class AS c
        INNER JOIN pg_catalog.pg_namespace AS n
            ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
        WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,S}'::pg_catalog."char"[])
        UNION ALL
        SELECT 'ROUTINE', n.nspname, p.proname,
            p.oid::pg_catalog.regprocedure::pg_catalog.text, p.proowner, p.oid,
            'pg_catalog.pg_proc'::pg_catalog.regclass
        FROM pg_catalog.pg_proc AS p
        INNER JOIN pg_catalog.pg_namespace AS n
            ON p.pronamespace OPERATOR(pg_catalog.=) n.oid
        UNION ALL
        SELECT 'TYPE', n.nspname, t.typname, pg_catalog.format('%I.%I', n.nspname, t.typname),
            t.typowner, t.oid, 'pg_catalog.pg_type'::pg_catalog.regclass
        FROM pg_catalog.pg_type AS t
        INNER JOIN pg_catalog.pg_namespace AS n
            ON t.typnamespace OPERATOR(pg_catalog.=) n.oid
        WHERE t.typtype OPERATOR(pg_catalog.=) ANY ('{d,e}'::pg_catalog."char"[])
    ) AS o
    WHERE o.schema
            OPERATOR(pg_catalog.=) ANY (ARRAY['entasis', 'entasis_internal', 'entasis_migrations'])
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d
            WHERE d.classid OPERATOR(pg_catalog.=) o.class::pg_catalog.oid
                AND d.objid OPERATOR(pg_catalog.=) o.oid
                AND (
                    d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog."char"
                    OR (
                        o.kind OPERATOR(pg_catalog.=) 'SEQUENCE'
                        AND d.deptype OPERATOR(pg_catalog.=) ANY ('{a,i}'::pg_catalog."char"[])
                        AND d.classid OPERATOR(pg_catalog.=)
                            'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
                    )
                )
        )
    ORDER BY o.kind OPERATOR(pg_catalog.<>) 'SCHEMA', 4
"""

_RIGHTS = """
    SELECT CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'public'
            ELSE pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text END,
        a.privilege_type, o.kind, o.name
    FROM (
        SELECT 'SCHEMA' AS kind, n.nspname::pg_catalog.text AS name, n.nspname,
            coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) AS acl, n.nspowner AS owner
        FROM pg_catalog.pg_namespace AS n
        UNION ALL
        SELECT CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S'::pg_catalog."char" THEN 'SEQUENCE'
                ELSE 'TABLE' END,
            pg_catalog.format('%s.%s', n.nspname, c.relname), n.nspname, c.relacl, c.relowner
        FROM pg_catalog.pg_class AS c
        INNER JOIN pg_catalog.pg_namespace AS n
            ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
        UNION ALL
        SELECT 'COLUMN', pg_catalog.format('%s.%s.%s', n.nspname, c.relname, t.attname),
            n.nspname, t.attacl, c.relowner
        FROM pg_catalog.pg_attribute AS t
        INNER JOIN pg_catalog.pg_class AS c ON t.attrelid OPERATOR(pg_catalog.=) c.oid
        INNER JOIN pg_catalog.pg_namespace AS n
            ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
        WHERE t.attacl IS NOT NULL
        UNION ALL
        SELECT 'ROUTINE', pg_catalog.format('%s.%s', n.nspname, p.proname), n.nspname,
            coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.proowner
        FROM pg_catalog.pg_proc AS p
        INNER JOIN pg_catalog.pg_namespace AS n
            ON p.pronamespace OPERATOR(pg_catalog.=) n.oid
    ) AS o
    CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) AS a
    WHERE o.nspname::pg_catalog.text
            OPERATOR(pg_catalog.=) ANY (ARRAY['entasis', 'entasis_internal', 'entasis_migrations'])
        AND a.grantee OPERATOR(pg_catalog.<>) o.owner
"""

_TRIGGERS = """
    SELECT pg_catalog.pg_get_triggerdef(t.oid), t.tgname::pg_catalog.text,
        pg_catalog.format('%I.%I', n.nspname, c.relname),
        t.tgisinternal, t.tgenabled OPERATOR(pg_catalog.=) 'O'::pg_catalog."char",
        c.relname::pg_catalog.text OPERATOR(pg_catalog.~) '^_materialized_hypertable_'
    FROM pg_catalog.pg_trigger AS t
    INNER JOIN pg_catalog.pg_class AS c ON t.tgrelid OPERATOR(pg_catalog.=) c.oid
    INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
    INNER JOIN pg_catalog.pg_proc AS p ON t.tgfoid OPERATOR(pg_catalog.=) p.oid
    INNER JOIN pg_catalog.pg_namespace AS f ON p.pronamespace OPERATOR(pg_catalog.=) f.oid
    WHERE f.nspname OPERATOR(pg_catalog.=) 'entasis_internal'
        OR (
            t.tgisinternal AND n.nspname::pg_catalog.text
            OPERATOR(pg_catalog.=) ANY (ARRAY['entasis', 'entasis_internal', 'entasis_migrations'])
        )
"""

_SECURITY = """
    SELECT pg_catalog.format('%s.%s', n.nspname, c.relname), c.relrowsecurity,
        c.relforcerowsecurity
    FROM pg_catalog.pg_class AS c
    INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
    WHERE n.nspname::pg_catalog.text
            OPERATOR(pg_catalog.=) ANY (ARRAY['entasis', 'entasis_internal', 'entasis_migrations'])
        AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
"""

_POLICIES = """
    SELECT l.polname::pg_catalog.text, l.polpermissive, l.polcmd::pg_catalog.text,
        ARRAY(
            SELECT CASE WHEN r.role OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN 'public'
                ELSE pg_catalog.pg_get_userbyid(r.role)::pg_catalog.text END
            FROM pg_catalog.unnest(l.polroles) AS r (role) ORDER BY 1
        ),
        pg_catalog.pg_get_expr(l.polqual, l.polrelid),
        pg_catalog.pg_get_expr(l.polwithcheck, l.polrelid)
    FROM pg_catalog.pg_policy AS l
    WHERE l.polrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)::pg_catalog.oid
"""

_ROLES = """
    SELECT r.rolname::pg_catalog.text,
        pg_catalog.concat_ws(
            ', ',
            CASE WHEN r.rolsuper THEN 'superuser' END,
            CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
            CASE WHEN r.rolcreaterole THEN 'createrole' END,
            CASE WHEN r.rolcreatedb THEN 'createdb' END,
            CASE WHEN r.rolreplication THEN 'replication' END,
            CASE WHEN r.rolcanlogin THEN 'login' END
        ),
        ARRAY(
            SELECT pg_catalog.pg_get_userbyid(m.roleid)::pg_catalog.text
            FROM pg_catalog.pg_auth_members AS m
            WHERE m.member OPERATOR(pg_catalog.=) r.oid
        )
    FROM pg_catalog.pg_roles AS r WHERE r.rolname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%s)
"""

# by default PostgreSQL lets everybody execute a new routine
_PUBLIC_ROUTINES = """
    SELECT NOT EXISTS (
        SELECT FROM pg_catalog.pg_default_acl AS d
        WHERE d.defaclrole OPERATOR(pg_catalog.=)
                pg_catalog.to_regrole('entasis_owner')::pg_catalog.oid
            AND d.defaclobjtype OPERATOR(pg_catalog.=) 'f'::pg_catalog."char"
            AND d.defaclnamespace OPERATOR(pg_catalog.=) 0::pg_catalog.oid
            AND NOT EXISTS (
                SELECT FROM pg_catalog.aclexplode(d.defaclacl) AS a
                WHERE a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid
            )
    )
"""


class Object(NamedTuple):
    """Something that can be owned."""

    kind: str
    """As ALTER calls it: SCHEMA, TABLE, VIEW, SEQUENCE, ROUTINE or TYPE."""
    schema: str
    name: str
    identity: str
    """Quoted, with the schema; of a routine with its arguments."""
    owner: str
    parent: str | None
    """The table of which it is a partition."""

    @property
    def qualified(self) -> str:
        """The name as schema/ has it."""
        return self.name if self.kind == "SCHEMA" else f"{self.schema}.{self.name}"


class FoundTrigger(NamedTuple):
    """A trigger of ours, or one of PostgreSQL's own (for a foreign key) on a table of ours."""

    trigger: Trigger | None
    name: str
    relation: str
    internal: bool
    enabled: bool
    of_aggregate: bool
    """Whether the table is that in which TimescaleDB keeps candles."""


class Role(NamedTuple):
    """One of our roles."""

    name: str
    attributes: str
    member_of: tuple[str, ...]


def objects(connection: psycopg.Connection[Any]) -> list[Object]:
    """Return what is in our schemas, and they themselves first."""
    return [Object(*row) for row in execute(connection, _OBJECTS)]


def rights(connection: psycopg.Connection[Any]) -> set[Right]:
    """Return what anybody but an object's owner was granted there."""
    return {Right(*row) for row in execute(connection, _RIGHTS)}


def triggers(connection: psycopg.Connection[Any]) -> list[FoundTrigger]:
    """Return the triggers that call our functions, and those of foreign keys."""
    return [
        FoundTrigger(None if row[3] else trigger(row[0]), *row[1:])
        for row in execute(connection, _TRIGGERS)
    ]


def security(connection: psycopg.Connection[Any]) -> dict[str, tuple[bool, bool]]:
    """Return of each table whether it has row-level security, and whether for its owner too."""
    return {name: (on, forced) for name, on, forced in execute(connection, _SECURITY)}


def policies(connection: psycopg.Connection[Any]) -> set[Policy]:
    """Return the policies of the one table that is to have some."""
    return {
        Policy(name, permissive, command, tuple(roles), using, check)
        for name, permissive, command, roles, using, check in execute(
            connection, _POLICIES, SECURED
        )
    }


def roles(connection: psycopg.Connection[Any], names: list[str]) -> dict[str, Role]:
    """Return those of the roles that there are."""
    return {
        name: Role(name, attributes, tuple(member_of))
        for name, attributes, member_of in execute(connection, _ROLES, [names])
    }


def new_routines_are_public(connection: psycopg.Connection[Any]) -> bool:
    """Say whether everybody may execute what entasis_owner will make."""
    return bool(execute(connection, _PUBLIC_ROUTINES)[0][0])
