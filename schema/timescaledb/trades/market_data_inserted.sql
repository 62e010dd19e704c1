-- No transition table: a hypertable with an INSERT trigger that has one takes COPY row by row, and then
-- forgets to note that the rows' candles are out of date (tried on 2.28.3; with BEFORE ROW triggers
-- too). So the table is asked instead. Chunks below the floor are gone, so this opens none, except
-- for one that holds the floor itself. What was restored there has a trigger of its own.
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
'Trigger of market_data: refuses a statement after which there are trades below the floor, apart from what was restored there.';
