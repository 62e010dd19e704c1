-- Candles that an aggregate computes from the trades when it is read would be lost with them: every candle
-- that it shows must be stored in its hypertable.
CREATE OR REPLACE FUNCTION entasis_internal.candles_are_materialized(
    from_time timestamptz, to_time timestamptz
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    level record;
    shown bigint;
    stored bigint;
BEGIN
    FOR level IN
        SELECT w.relation, h.schema_name, h.table_name
        FROM (VALUES ('ohlcv_1m'), ('ohlcv_1h'), ('ohlcv_1d')) AS w (relation)
        CROSS JOIN LATERAL entasis_internal.hypertable_of(w.relation) AS h
    LOOP
        EXECUTE format(
            'SELECT count(*) FROM entasis.%I AS c WHERE c.bucket >= $1 AND c.bucket < $2',
            level.relation
        ) INTO shown USING from_time, to_time;
        EXECUTE format(
            'SELECT count(*) FROM %I.%I AS c WHERE c.bucket >= $1 AND c.bucket < $2',
            level.schema_name, level.table_name
        ) INTO stored USING from_time, to_time;
        IF shown <> stored THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN NOT EXISTS (
        SELECT FROM entasis.check_candles(
            candles_are_materialized.from_time, candles_are_materialized.to_time
        )
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.candles_are_materialized IS
'Whether every candle of the UTC days [from_time, to_time) is materialized and equals its trades.';
