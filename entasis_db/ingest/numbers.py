"""Quotes that their source does not number: whether stored quotes at their times have numbers."""

from collections.abc import Mapping
from datetime import datetime

from psycopg import sql

HAS_NUMBERED = sql.SQL(
    """
    SELECT EXISTS (
        SELECT FROM ROWS FROM (
            pg_catalog.unnest(%(underlyings)s::pg_catalog.text[]),
            pg_catalog.unnest(%(first_times)s::pg_catalog.timestamptz[]),
            pg_catalog.unnest(%(last_times)s::pg_catalog.timestamptz[])
        ) AS b (underlying, first_time, last_time)
        CROSS JOIN LATERAL (
            SELECT FROM entasis.option_data AS d
            WHERE d.underlying OPERATOR(pg_catalog.=) b.underlying COLLATE pg_catalog."C"
                AND d.id OPERATOR(pg_catalog.<>) 0
                AND d.timestamp OPERATOR(pg_catalog.>=) b.first_time
                AND d.timestamp OPERATOR(pg_catalog.<=) b.last_time
                -- of the whole batch, so that other partitions are not looked at
                AND d.timestamp OPERATOR(pg_catalog.>=) %(first_time)s
                AND d.timestamp OPERATOR(pg_catalog.<=) %(last_time)s
            LIMIT 1
        ) AS d
    )
    """
)


def has_numbered_parameters(
    unnumbered: Mapping[str, tuple[datetime, datetime]],
) -> dict[str, object]:
    """Return the parameters of HAS_NUMBERED for first and last times by underlying."""
    first_times, last_times = map(list, zip(*unnumbered.values(), strict=True))
    return {
        "underlyings": list(unnumbered),
        "first_times": first_times,
        "last_times": last_times,
        "first_time": min(first_times),
        "last_time": max(last_times),
    }
