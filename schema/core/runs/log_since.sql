CREATE OR REPLACE FUNCTION entasis_internal.log_since(last_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN coalesce(
        (
            SELECT jsonb_object_agg(l.action, l.entries)
            FROM (
                SELECT m.action, count(*) AS entries
                FROM entasis.maintenance_log AS m
                WHERE m.id > coalesce(log_since.last_id, 0)
                GROUP BY m.action
            ) AS l
        ),
        '{}'
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.log_since IS
'How many entries of each action entasis.maintenance_log has after one with this id: what a run did. NULL: all.';
