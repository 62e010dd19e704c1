CREATE OR REPLACE FUNCTION entasis_internal.delete_candles(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    level record;
BEGIN
    FOR level IN
        SELECT h.schema_name, h.table_name
        FROM (VALUES ('ohlcv_1m'), ('ohlcv_1h'), ('ohlcv_1d')) AS w (relation)
        CROSS JOIN LATERAL entasis_internal.hypertable_of(w.relation) AS h
    LOOP
        EXECUTE format(
            'DELETE FROM %I.%I AS c WHERE c.symbol = $1 AND c.exchange = $2 AND c.bucket >= $3 AND c.bucket < $4',
            level.schema_name, level.table_name
        ) USING symbol_name, exchange_name, from_time, to_time;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.delete_candles IS
'Throws away the candles of a market that start in [from_time, to_time), which must have been reopened.';
