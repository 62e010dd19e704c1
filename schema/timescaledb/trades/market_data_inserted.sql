-- No transition table: with one, TimescaleDB executes COPY into a hypertable row by row and does not log that
-- the candles of these rows are invalid (tried on 2.28.3; also with BEFORE ROW triggers). So the table is
-- queried instead. Chunks below the floor have been dropped, so the query opens none but the one that
-- contains the floor. Restored chunks have a trigger of their own.
CREATE OR REPLACE FUNCTION entasis_internal.market_data_inserted() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lowest timestamptz;
    gap tstzrange;
BEGIN
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'market_data';
    IF isfinite(lowest) THEN
        FOR gap IN
            SELECT unnest(
                tstzmultirange(tstzrange('-infinity', lowest))
                - coalesce(range_agg(tstzrange(r.from_time, r.to_time)), '{}')
            )
            FROM entasis.restores AS r
            WHERE r.relation = 'market_data' AND r.attached_at IS NOT NULL
        LOOP
            PERFORM entasis_internal.refuse_below_floor('market_data', min(d.timestamp))
            FROM entasis.market_data AS d
            WHERE d.timestamp >= lower(gap) AND d.timestamp < upper(gap);
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_inserted IS
'Trigger of market_data: refuses a statement after which there are trades below the floor outside restored ranges.';
