CREATE OR REPLACE FUNCTION entasis_internal.make_partitions_ahead(
    first_month integer
) RETURNS integer
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT coalesce(sum(entasis.ensure_partitions(r.relation, r.from_time, r.to_time)), 0)::integer
    FROM (
        SELECT
            k.relation,
            greatest(
                date_trunc('month', now()) + first_month * interval '1 month', f.floor
            ) AS from_time,
            date_trunc('month', now())
            + least(first_month + 12, k.months_ahead + 1) * interval '1 month' AS to_time
        FROM entasis.keep_periods AS k
        INNER JOIN entasis.floors AS f ON k.relation = f.relation
    ) AS r
    WHERE r.from_time < r.to_time;
END;

COMMENT ON FUNCTION entasis_internal.make_partitions_ahead IS
'Creates the partitions of a year, of those that lie up to keep_periods.months_ahead months after this month, and returns how many were missing. first_month is the year''s first month, counted from this month on, which is 0.';
