CREATE OR REPLACE FUNCTION entasis_internal.record_sizes() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    INSERT INTO entasis_internal.relation_sizes (relation, measured_on, bytes)
    SELECT k.relation, current_date, entasis_internal.relation_bytes(k.relation)
    FROM entasis.keep_periods AS k
    WHERE NOT EXISTS (
        SELECT FROM entasis_internal.relation_sizes AS s
        WHERE s.relation = k.relation AND s.measured_on = current_date
    )
    ON CONFLICT (relation, measured_on) DO NOTHING;
    DELETE FROM entasis_internal.relation_sizes AS s WHERE s.measured_on < current_date - 400;
END
$$;

COMMENT ON FUNCTION entasis_internal.record_sizes IS
'Records the size of each relation once a day (UTC), for entasis.lifecycle to show its growth.';
