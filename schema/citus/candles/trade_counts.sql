CREATE OR REPLACE FUNCTION entasis_internal.trade_counts(
    symbol_name text, exchange_name text, from_day timestamptz
) RETURNS TABLE (candle text, trades bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    level text;
BEGIN
    FOREACH level IN ARRAY ARRAY['1m', '1h', '1d'] LOOP
        RETURN QUERY EXECUTE format(
            $sql$
            SELECT %L || c.bucket, c.trades FROM %s AS c
            WHERE c.symbol = $1 AND c.exchange = $2 AND c.bucket >= $3 AND c.bucket < $3 + interval '24 hours'
            $sql$,
            level || ' ', entasis_internal.shard_of(('entasis.ohlcv_' || level)::regclass, symbol_name)
        ) USING symbol_name, exchange_name, from_day;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.trade_counts IS
'How many trades each stored candle of a market counts that starts within 24 hours from from_day. candle names its interval and bucket.';
