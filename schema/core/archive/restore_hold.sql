CREATE OR REPLACE FUNCTION entasis_internal.restore_hold(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
BEGIN ATOMIC
    SELECT 'it was restored, and is held until ' || max(r.held_until)
    FROM entasis.restores AS r
    WHERE
        r.relation = restore_hold.relation_name
        AND r.from_time < restore_hold.to_time
        AND r.to_time > restore_hold.from_time
        AND r.held_until > now();
END;

COMMENT ON FUNCTION entasis_internal.restore_hold IS
'That the range is attached to its relation and held there, in words. NULL: it is not.';
