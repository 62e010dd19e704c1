CREATE OR REPLACE FUNCTION entasis_internal.restore_hold(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
BEGIN ATOMIC
    SELECT
        coalesce(
            'it was reopened, and is kept until ' || (
                SELECT max(o.keep_until)
                FROM entasis.reopened AS o
                INNER JOIN entasis.keep_periods AS k ON o.relation IN (k.relation, k.derived_from)
                WHERE
                    k.relation = restore_hold.relation_name
                    AND o.from_time < restore_hold.to_time
                    AND o.to_time > restore_hold.from_time
                    AND o.keep_until > now()
            ),
            'it was restored, and is held until ' || (
                SELECT max(r.held_until)
                FROM entasis.restores AS r
                WHERE
                    r.relation = restore_hold.relation_name
                    AND r.from_time < restore_hold.to_time
                    AND r.to_time > restore_hold.from_time
                    AND r.held_until > now()
            )
        );
END;

COMMENT ON FUNCTION entasis_internal.restore_hold IS
'That the range was reopened, or is attached to its relation, and is held there, in words. NULL: it is not.';
