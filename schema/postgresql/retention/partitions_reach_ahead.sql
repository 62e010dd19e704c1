CREATE OR REPLACE FUNCTION entasis_internal.partitions_reach_ahead(
    relation_name text, months_ahead integer
) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT
        coalesce(
            max(p.to_time) >= date_trunc('month', now())
            + (partitions_reach_ahead.months_ahead + 1) * interval '1 month',
            false
        )
    FROM entasis_internal.partitions_of(relation_name) AS p;
END;

COMMENT ON FUNCTION entasis_internal.partitions_reach_ahead IS
'Whether partitions of a relation exist up to the end of so many months after the current one.';
