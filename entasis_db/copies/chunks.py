"""Chunks of engine timescaledb that begin at a floor, and not where TimescaleDB has them begin."""

from typing import Any

import psycopg

from entasis_db.cursors import execute

# a slice is told in microseconds since 1970, when the first chunk began
_CUT = """
    SELECT _timescaledb_functions.create_chunk(
        pg_catalog.format('%I.%I', d.hypertable_schema, d.hypertable_name)::pg_catalog.regclass,
        pg_catalog.jsonb_build_object(
            d.column_name,
            pg_catalog.jsonb_build_array(
                u.floor,
                (u.floor OPERATOR(pg_catalog./) u.size OPERATOR(pg_catalog.+) 1)
                    OPERATOR(pg_catalog.*) u.size
            )
        )
    )
    FROM entasis.floors AS f
    CROSS JOIN LATERAL entasis_internal.hypertable_of(f.relation) AS h
    INNER JOIN timescaledb_information.dimensions AS d
        ON d.hypertable_schema OPERATOR(pg_catalog.=) h.schema_name
        AND d.hypertable_name OPERATOR(pg_catalog.=) h.table_name
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN pg_catalog.isfinite(f.floor) THEN
                (extract(EPOCH FROM f.floor) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8
            END AS floor,
            (extract(EPOCH FROM d.time_interval) OPERATOR(pg_catalog.*) 1000000)
                ::pg_catalog.int8 AS size
    ) AS u
    WHERE u.floor OPERATOR(pg_catalog.%) u.size OPERATOR(pg_catalog.<>) 0
"""


def cut_chunks(connection: psycopg.Connection[Any]) -> None:
    """Make the chunks that floors lie in begin at the floor; no row is there yet.

    What lies before may come back from the archive, whose ranges are those of another engine, and
    TimescaleDB attaches nothing beside a chunk that overlaps it.
    """
    execute(connection, _CUT)
