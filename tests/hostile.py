"""A schema that stands in for all that PostgreSQL and we have, and counts what of it is used."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.db import Connection, one
from tests.engines import Database

PATH = "hostile,pg_catalog"

# Whatever of it is run says so in the count, which no rollback takes back, and in an error. What
# cannot be run, as an aggregate that is a function now, is an error too.
_PLANTS = r"""
CREATE SEQUENCE hostile.used;
CREATE FUNCTION hostile.hijack() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.nextval('hostile.used');
    RAISE EXCEPTION 'hijacked %', current_user;
END $$;

DO $do$
DECLARE
    o record;
    body CONSTANT text := 'LANGUAGE plpgsql AS ''BEGIN PERFORM hostile.hijack(); END''';
    number integer := 0;
BEGIN
    -- aggregates as functions
    FOR o IN
        SELECT p.proname AS name, p.arguments, min(p.result) AS result
        FROM (
            SELECT f.proname, oidvectortypes(f.proargtypes) AS arguments,
                CASE WHEN f.proretset THEN 'SETOF ' ELSE '' END || format_type(f.prorettype, NULL)
                    AS result
            FROM pg_proc AS f
            INNER JOIN pg_type AS r ON f.prorettype = r.oid
            WHERE f.pronamespace::regnamespace::text
                    IN ('pg_catalog', 'entasis', 'entasis_internal')
                AND f.prokind <> 'p' AND f.provariadic = 0
                AND f.proname <> 'unnest' AND NOT (f.proname = 'count' AND f.pronargs = 0)
                AND (r.typtype <> 'p' OR r.typname IN ('void', 'record', 'trigger'))
                AND r.typnamespace = 'pg_catalog'::regnamespace
                AND NOT EXISTS (
                    SELECT FROM unnest(f.proargtypes::oid[]) AS a (type)
                    INNER JOIN pg_type AS t ON a.type = t.oid
                    WHERE t.typtype = 'p' AND t.typname NOT IN ('anyelement', 'anyarray')
                        OR t.typnamespace <> 'pg_catalog'::regnamespace
                )
        ) AS p
        GROUP BY p.proname, p.arguments
    LOOP
        EXECUTE format(
            'CREATE FUNCTION hostile.%I(%s) RETURNS %s %s', o.name, o.arguments, o.result, body
        );
    END LOOP;
    EXECUTE 'CREATE FUNCTION hostile.unnest(anyarray) RETURNS SETOF anyelement ' || body;
    EXECUTE 'CREATE FUNCTION hostile.format(text, VARIADIC text[]) RETURNS text ' || body;
    EXECUTE 'CREATE FUNCTION hostile.counted(bigint) RETURNS bigint ' || body;
    CREATE AGGREGATE hostile.count(*) (SFUNC = hostile.counted, STYPE = bigint, INITCOND = 0);

    -- operators, and those that would fit better than PostgreSQL's own
    FOR o IN
        SELECT p.oprname AS name, format_type(p.oprright, NULL) AS b,
            CASE WHEN p.oprleft <> 0 THEN format_type(p.oprleft, NULL) END AS a,
            format_type(p.oprresult, NULL) AS result
        FROM pg_operator AS p
        WHERE p.oprnamespace = 'pg_catalog'::regnamespace
            AND NOT EXISTS (
                SELECT FROM pg_type AS t
                WHERE t.oid IN (p.oprleft, p.oprright, p.oprresult) AND t.typtype = 'p'
            )
        UNION
        SELECT n.name, b.type, a.type, n.result
        FROM (
            VALUES ('=', 'boolean'), ('<>', 'boolean'), ('<', 'boolean'), ('>', 'boolean'),
                ('~~', 'boolean'), ('||', 'text')
        ) AS n (name, result)
        CROSS JOIN unnest('{character varying,text,name,character}'::text[]) AS a (type)
        CROSS JOIN unnest('{character varying,text,name,character}'::text[]) AS b (type)
        WHERE NOT EXISTS (
            SELECT FROM pg_operator AS p
            WHERE p.oprname = n.name AND p.oprleft = a.type::regtype
                AND p.oprright = b.type::regtype
        )
        UNION
        SELECT n.name, 'anyarray', 'anyarray', 'boolean'
        FROM unnest('{=,<>,@>,&&}'::text[]) AS n (name)
    LOOP
        number := number + 1;
        EXECUTE format('CREATE FUNCTION hostile.op_%s(%s) RETURNS %s %s',
            number, concat_ws(', ', o.a, o.b), o.result, body);
        EXECUTE format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.op_%s, RIGHTARG = %s%s)',
            o.name, number, o.b, ', LEFTARG = ' || o.a);
    END LOOP;

    FOR o IN
        SELECT t.typname AS name FROM pg_type AS t
        WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b'
            AND t.typcategory <> 'A' AND t.typname <> 'unknown'
    LOOP
        EXECUTE format(
            'CREATE DOMAIN hostile.%1$I AS pg_catalog.%1$I CHECK (hostile.hijack())', o.name
        );
    END LOOP;

    CREATE DOMAIN hostile.record AS text CHECK (hostile.hijack());

    FOR o IN
        SELECT DISTINCT c.relname AS name FROM pg_class AS c
        WHERE c.relnamespace::regnamespace::text
                IN ('pg_catalog', 'entasis', 'entasis_internal', 'entasis_migrations')
            AND c.relkind IN ('r', 'p', 'v')
    LOOP
        EXECUTE format('CREATE VIEW hostile.%I AS SELECT hostile.hijack() AS oid', o.name);
    END LOOP;
END $do$;
"""


@contextmanager
def planted(database: Database, stranger: Connection, *, runs: bool = True) -> Iterator[None]:
    """Let a login without rights make the schema.

    Unless it ``runs``, what is found there may be run by nobody else: PostgreSQL refuses the
    whole statement, also where it would not have come to run that.
    """
    name = sql.Identifier(stranger.info.user)
    with database.connect() as connection:
        connection.execute(sql.SQL("CREATE SCHEMA hostile AUTHORIZATION {}").format(name))
    try:
        with stranger.transaction():
            stranger.execute("SET LOCAL search_path = pg_catalog, pg_temp")
            stranger.execute("GRANT USAGE ON SCHEMA hostile TO PUBLIC")
            stranger.execute(_PLANTS.encode())
            stranger.execute("GRANT USAGE, SELECT ON SEQUENCE hostile.used TO PUBLIC")
            stranger.execute("GRANT SELECT ON ALL TABLES IN SCHEMA hostile TO PUBLIC")
            if not runs:
                stranger.execute("REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA hostile FROM PUBLIC")
        yield
    finally:
        with database.connect() as connection:
            # Citus's server ends where the new owner is CURRENT_USER (14.0.1)
            heir = sql.Identifier(connection.info.user)
            statement = sql.SQL("REASSIGN OWNED BY {} TO {}").format(name, heir)
            connection.execute(statement)
            if not database.can("one_server"):  # what is the login's on the workers alone
                text = sql.Literal(statement.as_string(connection))
                connection.execute(sql.SQL("SELECT run_command_on_workers({})").format(text))


def hostile(dsn: str) -> str:
    """Return a connection string with the schema in the path, before PostgreSQL's own."""
    return make_conninfo(dsn, options=f"-c search_path={PATH}")


def hijacked(database: Database) -> bool:
    """Say whether anything of the schema was ever run."""
    with database.connect() as connection:
        return bool(one(connection, "SELECT is_called FROM hostile.used"))


@contextmanager
def hijack() -> Iterator[None]:
    """Expect that something of the schema stands in."""
    try:
        yield
    except psycopg.Error:
        return
    raise AssertionError("nothing stood in")
