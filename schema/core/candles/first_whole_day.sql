CREATE OR REPLACE FUNCTION entasis_internal.first_whole_day() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT
        CASE
            WHEN isfinite(f.floor)
                THEN date_trunc('day', f.floor + interval '1 day' - interval '1 microsecond')
            ELSE f.floor
        END
    FROM entasis.floors AS f
    WHERE f.relation = 'market_data';
END;

COMMENT ON FUNCTION entasis_internal.first_whole_day IS
'Start of the first UTC day of which no trade has been dropped. -infinity: none has been dropped at all.';
