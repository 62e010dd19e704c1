"""What a database is, as its catalogs tell it: for comparing databases that came about differently.

Compared are facts, never the text of a file: what PostgreSQL has made of it. Rights are spelt out,
because a NULL there stands for the owner's own.
"""

import re
from typing import Any

import psycopg

# rights, spelt out and in one order
_RIGHTS = """(SELECT array_agg(a::text ORDER BY a::text)
    FROM aclexplode(coalesce({acl}, acldefault({kind}, {owner}))) AS a)"""
_KIND = "CASE WHEN relkind = 'S' THEN 's' ELSE 'r' END::\"char\""
# the ledger has tables of yoyo's own, which are no part of schema/
_OURS = "relnamespace::regnamespace::text LIKE 'entasis%' AND relname !~ '^_?yoyo_'"
_FACTS = {
    "schemas": f"""
        SELECT nspname, pg_get_userbyid(nspowner),
            {_RIGHTS.format(acl="nspacl", kind="'n'", owner="nspowner")},
            obj_description(oid, 'pg_namespace')
        FROM pg_namespace WHERE nspname LIKE 'entasis%'""",
    "relations": f"""
        SELECT oid::regclass::text, relkind::text, pg_get_userbyid(relowner),
            {_RIGHTS.format(acl="relacl", kind=_KIND, owner="relowner")},
            relrowsecurity, relforcerowsecurity, reloptions::text, relpersistence::text,
            pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid),
            obj_description(oid, 'pg_class')
        FROM pg_class WHERE {_OURS}""",
    "columns": f"""
        SELECT attrelid::regclass::text, attnum, attname, format_type(atttypid, atttypmod),
            attnotnull, attidentity::text, attgenerated::text, attstorage::text,
            attcollation::regcollation::text, pg_get_expr(d.adbin, d.adrelid),
            col_description(attrelid, attnum)
        FROM pg_attribute
        INNER JOIN pg_class AS c ON attrelid = c.oid
        LEFT JOIN pg_attrdef AS d ON attrelid = adrelid AND attnum = adnum
        WHERE {_OURS} AND attnum > 0
            AND NOT attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint
        WHERE connamespace::regnamespace::text LIKE 'entasis%' AND conname !~ '^_?yoyo_'""",
    "indexes": f"""
        SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid, indisprimary
        FROM pg_index INNER JOIN pg_class AS c ON indrelid = c.oid
        WHERE {_OURS}""",
    "sequences": """
        SELECT seqrelid::regclass::text, format_type(seqtypid, NULL), seqstart, seqincrement,
            seqmax,
            (SELECT refobjid::regclass::text || '.' || refobjsubid FROM pg_depend
             WHERE objid = seqrelid AND deptype IN ('a', 'i'))
        FROM pg_sequence""",
    "types": """
        SELECT t.oid::regtype::text, pg_get_userbyid(typowner),
            (SELECT array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum
             WHERE enumtypid = t.oid)
        FROM pg_type AS t WHERE typnamespace::regnamespace::text = 'entasis' AND typtype = 'e'""",
    "routines": f"""
        SELECT oid::regprocedure::text, pg_get_functiondef(oid), pg_get_userbyid(proowner),
            {_RIGHTS.format(acl="proacl", kind="'f'", owner="proowner")},
            obj_description(oid, 'pg_proc')
        FROM pg_proc WHERE pronamespace::regnamespace::text IN ('entasis', 'entasis_internal')""",
    "views": """
        SELECT oid::regclass::text, pg_get_viewdef(oid)
        FROM pg_class
        WHERE relnamespace::regnamespace::text IN ('entasis', 'entasis_internal')
            AND relkind = 'v'""",
    "triggers": """
        SELECT tgrelid::regclass::text, pg_get_triggerdef(oid), tgenabled::text
        FROM pg_trigger WHERE NOT tgisinternal""",
    "policies": """
        SELECT polrelid::regclass::text, polname, polcmd::text, polpermissive,
            polroles::regrole[]::text, pg_get_expr(polqual, polrelid),
            pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy')
        FROM pg_policy""",
    "default rights": "SELECT defaclrole::regrole::text, defaclacl::text FROM pg_default_acl",
    "contract rows": """
        SELECT 'keep_periods', k::text FROM entasis.keep_periods AS k
        UNION ALL
        SELECT 'floors', f::text FROM entasis.floors AS f
        UNION ALL
        SELECT 'engine', engine FROM entasis.installation""",
}


_HYPERTABLE_FACTS = {
    "hypertables": """
        SELECT h.hypertable_schema, h.hypertable_name, h.owner, h.compression_enabled,
            d.column_name, d.time_interval::text
        FROM timescaledb_information.hypertables AS h
        INNER JOIN timescaledb_information.dimensions AS d
            USING (hypertable_schema, hypertable_name)""",
    "aggregates": """
        SELECT view_schema, view_name, view_owner, materialized_only, compression_enabled,
            materialization_hypertable_name, view_definition
        FROM timescaledb_information.continuous_aggregates""",
    "intervals of aggregates": """
        SELECT a.view_name, d.time_interval::text
        FROM timescaledb_information.continuous_aggregates AS a
        INNER JOIN timescaledb_information.dimensions AS d
            ON a.materialization_hypertable_name = d.hypertable_name""",
    "columnstores": """
        SELECT hypertable_schema, hypertable_name, attname, segmentby_column_index,
            orderby_column_index, orderby_asc
        FROM timescaledb_information.compression_settings""",
    "jobs": """
        SELECT proc_schema, proc_name, owner::text, schedule_interval::text, scheduled,
            fixed_schedule, config::text
        FROM timescaledb_information.jobs WHERE proc_schema LIKE 'entasis%'""",
    "indexes of aggregates": """
        SELECT i.tablename, regexp_replace(i.indexdef, '_hyper[^ ]*', '') FROM pg_indexes AS i
        INNER JOIN timescaledb_information.continuous_aggregates AS a
            ON i.schemaname = a.materialization_hypertable_schema
            AND i.tablename = a.materialization_hypertable_name""",
}


# a node of Citus shows its shards in some catalogs, and hides them in others
_SHARDS = """
    SELECT s.logicalrelid::regclass::text || '_' || s.shardid FROM pg_dist_shard AS s
"""


def facts(connection: psycopg.Connection[Any]) -> dict[str, set[Any]]:
    """Read everything about the schemas of Entasis DB that a caller or a DBA could tell apart."""
    (hypertables,) = connection.execute(
        "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"
    ).fetchone() or (0,)
    (shards,) = connection.execute(
        "SELECT to_regclass('pg_dist_shard') IS NOT NULL"
    ).fetchone() or (False,)
    shard_names = (
        {name for (name,) in connection.execute(_SHARDS).fetchall()} if shards else frozenset()
    )
    with connection.transaction():
        # names are printed in full only when they are not on the path
        connection.execute("SET LOCAL search_path = ''")
        return {
            kind: {
                tuple(map(_plain, row))
                for row in connection.execute(query).fetchall()
                if row[0] not in shard_names
            }
            for kind, query in (_FACTS | (_HYPERTABLE_FACTS if hypertables else {})).items()
        }


# TimescaleDB numbers the tables of its aggregates, and an attempt that failed takes a number too.
_NUMBERED = re.compile(r"(_materialized_hypertable_|cagg_watermark\()\d+")


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _NUMBERED.sub(r"\1N", value)
    return tuple(value) if isinstance(value, list) else value


def without_chunks(found: set[Any]) -> set[Any]:
    """Leave out what is of a chunk: TimescaleDB's scheduler makes some of candles at any time."""
    return {each for each in found if "_timescaledb_internal._hyper_" not in str(each)}
