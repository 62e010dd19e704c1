CREATE OR REPLACE VIEW entasis.health WITH (security_invoker = true) AS
WITH measured AS (
    SELECT
        c.place,
        c.check_name,
        c.unit,
        c.measures,
        c.advice,
        m.subject,
        m.value,
        m.since,
        -- a row that is missing switches nothing off
        CASE WHEN t.check_name IS null THEN c.warning ELSE t.warning END AS warns_at,
        CASE WHEN t.check_name IS null THEN c.critical ELSE t.critical END AS critical_at,
        CASE WHEN c.less_is_worse THEN -1 ELSE 1 END AS sign,
        m.check_name IS NOT null AND m.value IS null AS is_unknown
    FROM (
        SELECT h.* FROM entasis_internal.health_checks() AS h
        UNION ALL
        SELECT n.* FROM entasis_internal.node_checks() AS n
    ) AS c
    LEFT OUTER JOIN entasis.thresholds AS t ON c.check_name = t.check_name
    LEFT OUTER JOIN entasis_internal.health_values() AS m ON c.check_name = m.check_name
),

judged AS (
    SELECT
        m.*,
        CASE
            WHEN m.sign * m.value >= m.sign * m.critical_at THEN 3
            WHEN m.sign * m.value >= m.sign * m.warns_at THEN 2
            WHEN m.is_unknown THEN 1
            ELSE 0
        END AS grade
    FROM measured AS m
),

-- the worst first
ranked AS (
    SELECT
        j.*,
        row_number() OVER (
            PARTITION BY j.check_name
            ORDER BY j.grade DESC, j.sign * j.value DESC NULLS LAST, j.since ASC, j.subject ASC
        ) AS at,
        count(*) FILTER (WHERE j.grade > 0) OVER (PARTITION BY j.check_name) AS are_over,
        min(j.since) FILTER (WHERE j.grade > 0) OVER (PARTITION BY j.check_name) AS over_since
    FROM judged AS j
)

SELECT
    r.check_name,
    (ARRAY['ok', 'unknown', 'warning', 'critical'])[r.grade + 1] AS severity,
    r.value,
    CASE
        WHEN r.grade = 3 THEN r.critical_at
        ELSE coalesce(r.warns_at, r.critical_at)
    END AS threshold,
    r.unit,
    r.over_since AS since,
    r.subject,
    r.are_over AS subjects,
    r.measures,
    r.advice,
    CASE WHEN r.place > 100 THEN 'docs/citus/operations.md#' ELSE 'docs/operations/on-call.md#' END
    || r.check_name AS page
FROM ranked AS r
WHERE r.at = 1
ORDER BY r.place;

COMMENT ON VIEW entasis.health IS
'Whether anything is wrong, since when, and what to do: a row for each check, with its worst value. What this login may not see is unknown, never ok; a member of entasis_monitor that is one of pg_monitor sees all.';
COMMENT ON COLUMN entasis.health.check_name IS
'The check.';
COMMENT ON COLUMN entasis.health.severity IS
'ok, unknown, warning, or critical.';
COMMENT ON COLUMN entasis.health.value IS
'The worst value that was measured, in the unit. NULL: it is unknown, or there is nothing to measure.';
COMMENT ON COLUMN entasis.health.threshold IS
'What the value is compared with: critical if it is, else warning, from entasis.thresholds. NULL: it is never over.';
COMMENT ON COLUMN entasis.health.unit IS
'Unit of value and threshold.';
COMMENT ON COLUMN entasis.health.since IS
'Since when it is so, of all subjects over a threshold the earliest; UTC. NULL: none is, or nothing tells.';
COMMENT ON COLUMN entasis.health.subject IS
'Which market, partition, session, table or other thing has the worst value. NULL: the whole server or database.';
COMMENT ON COLUMN entasis.health.subjects IS
'How many of them are over a threshold or unknown.';
COMMENT ON COLUMN entasis.health.measures IS
'What is measured.';
COMMENT ON COLUMN entasis.health.advice IS
'What to do when it is over its threshold.';
COMMENT ON COLUMN entasis.health.page IS
'Where the handbook says more.';
