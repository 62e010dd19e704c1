"""The metrics, once: each query, the columns that are labels, and those that are gauges.

Values are double precision. What is unknown, or has no threshold, is NaN, in no exporter an empty
row. Every metric is a gauge, and no row repeats the labels of another: an exporter would refuse
them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["QUERIES", "Query"]


@dataclass(frozen=True)
class Query:
    """A query, whose metrics are called ``{name}_{gauge}``."""

    name: str
    sql: str
    labels: Mapping[str, str]
    """Columns of text, and what they say."""
    gauges: Mapping[str, str]
    """Columns of numbers, and what they say."""


_DATABASE = {"database": "Database that was asked."}
_CHECK = {**_DATABASE, "check": "Check of entasis.health."}

QUERIES = (
    Query(
        name="entasis_health",
        sql="""\
SELECT
    pg_catalog.current_database()::text AS database,
    h.check_name AS check,
    CASE h.severity WHEN 'ok' THEN 0 WHEN 'warning' THEN 1 WHEN 'critical' THEN 2 ELSE 3 END
    AS severity,
    coalesce(h.value::double precision, 'NaN') AS value,
    coalesce(
        CASE WHEN t.check_name IS NULL THEN c.warning ELSE t.warning END::double precision, 'NaN'
    ) AS warning_threshold,
    coalesce(
        CASE WHEN t.check_name IS NULL THEN c.critical ELSE t.critical END::double precision, 'NaN'
    ) AS critical_threshold,
    coalesce(extract(EPOCH FROM h.since)::double precision, 'NaN') AS since_timestamp_seconds,
    h.subjects
FROM entasis.health AS h
INNER JOIN entasis_internal.health_checks() AS c ON h.check_name = c.check_name
LEFT OUTER JOIN entasis.thresholds AS t ON h.check_name = t.check_name
""",
        labels=_CHECK,
        gauges={
            "severity": "Severity of a check: 0 ok, 1 warning, 2 critical, 3 unknown.",
            "value": "Worst value of a check, in its unit; NaN: unknown, or nothing to measure.",
            "warning_threshold": "Value at which a check warns; NaN: it never does.",
            "critical_threshold": "Value at which a check is critical; NaN: it never is.",
            "since_timestamp_seconds": "Since when a check is over; NaN: it is not, or unknown.",
            "subjects": "How many subjects of a check are over a threshold, or unknown.",
        },
    ),
    # Sessions are left out: each would be a new series. What is not measured is no subject.
    Query(
        name="entasis_health_subject",
        sql="""\
WITH measured AS (
    SELECT
        c.check_name,
        v.subject,
        pg_catalog.max(CASE WHEN c.less_is_worse THEN -v.value ELSE v.value END) AS badness,
        c.less_is_worse
    FROM entasis_internal.health_values() AS v
    INNER JOIN entasis_internal.health_checks() AS c ON v.check_name = c.check_name
    WHERE
        v.value IS NOT null AND v.subject IS NOT null
        AND c.check_name NOT IN (
            'blocked', 'idle_in_transaction', 'prepared_age', 'transaction_age'
        )
    GROUP BY c.check_name, v.subject, c.less_is_worse
),

ranked AS (
    SELECT
        m.*,
        pg_catalog.row_number() OVER (
            PARTITION BY m.check_name ORDER BY m.badness DESC, m.subject ASC
        ) AS place
    FROM measured AS m
)

SELECT
    pg_catalog.current_database()::text AS database,
    r.check_name AS check,
    r.subject,
    (CASE WHEN r.less_is_worse THEN -r.badness ELSE r.badness END)::double precision AS value
FROM ranked AS r
WHERE r.place <= 50
""",
        labels={**_CHECK, "subject": "Market, relation, slot, table or other thing."},
        gauges={"value": "Value of each subject of a check, in its unit; the worst 50."},
    ),
    Query(
        name="entasis_health_check",
        sql="""\
SELECT
    pg_catalog.current_database()::text AS database,
    c.check_name AS check,
    c.unit,
    CASE WHEN c.less_is_worse THEN 'less' ELSE 'more' END AS worse,
    c.measures,
    c.advice,
    1 AS info
FROM entasis_internal.health_checks() AS c
""",
        labels={
            **_CHECK,
            "unit": "Unit of its values and thresholds.",
            "worse": "Whether more is worse, or less.",
            "measures": "What is measured.",
            "advice": "What to do when it is over.",
        },
        gauges={"info": "What a check measures, and what to do when it is over; always 1."},
    ),
)
