CREATE OR REPLACE FUNCTION entasis_internal.make_partitions_ahead() RETURNS integer
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT
        coalesce(sum(entasis.ensure_partitions(
            k.relation,
            greatest(date_trunc('month', now()), f.floor),
            date_trunc('month', now()) + (k.months_ahead + 1) * interval '1 month'
        )), 0)::integer
    FROM entasis.keep_periods AS k
    INNER JOIN entasis.floors AS f ON k.relation = f.relation;
END;

COMMENT ON FUNCTION entasis_internal.make_partitions_ahead IS
'Creates the partitions of this month and of keep_periods.months_ahead months after it, and returns how many were missing.';
