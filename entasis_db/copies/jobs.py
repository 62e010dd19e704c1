"""The jobs of engine timescaledb, which must not change a row before it was compared."""

from typing import Any

import psycopg

from entasis_db.cursors import execute

_PAUSE = """
    SELECT j.job_id FROM timescaledb_information.jobs AS j
    CROSS JOIN LATERAL public.alter_job(j.job_id, scheduled => false) AS a
    WHERE j.scheduled AND j.job_id OPERATOR(pg_catalog.>=) 1000
    ORDER BY 1
"""


def pause(connection: psycopg.Connection[Any]) -> list[int]:
    """Let none of the database's jobs begin, and return those that would have."""
    return [number for (number,) in execute(connection, _PAUSE)]


def go_on(connection: psycopg.Connection[Any], paused: list[int]) -> None:
    """Let those begin again that pause() has stopped."""
    for number in paused:
        execute(connection, "SELECT public.alter_job(%s, scheduled => true)", number)
