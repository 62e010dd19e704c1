CREATE OR REPLACE FUNCTION entasis_internal.close_ended() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM entasis.reopened AS r
    WHERE
        r.keep_until <= now()
        AND NOT EXISTS (
            SELECT FROM entasis_internal.partitions_of(r.relation) AS p
            WHERE p.from_time < r.to_time AND p.to_time > r.from_time
        );
END
$$;

COMMENT ON FUNCTION entasis_internal.close_ended IS
'Closes reopened ranges whose time is over and of which no partition is left, or was ever made.';
