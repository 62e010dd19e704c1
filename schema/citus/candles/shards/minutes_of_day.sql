CREATE OR REPLACE FUNCTION entasis_internal.minutes_of_day(
    symbol_name text, exchange_name text, from_day timestamptz
) RETURNS entasis.ohlcv_1m[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    touched entasis.ohlcv_1m[];
BEGIN
    PERFORM entasis_internal.refuse_elsewhere(symbol_name);
    -- minutes with trades and buckets with candles: an hour without minutes is recomputed by its first
    EXECUTE format(
        $sql$
        SELECT array_agg(
            row($1, $2, k.bucket, 0, 0, 0, 0, 0, 0, 0, k.bucket, 0, k.bucket, 0)::entasis.ohlcv_1m
        )
        FROM (
            SELECT date_bin('1 minute', d.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket
            FROM %s AS d
            WHERE d.symbol = $1 AND d.exchange = $2 AND d.timestamp >= $3 AND d.timestamp < $4
            UNION
            SELECT c.bucket FROM %s AS c
            WHERE c.symbol = $1 AND c.exchange = $2 AND c.bucket >= $3 AND c.bucket < $4
            UNION
            SELECT c.bucket FROM %s AS c
            WHERE c.symbol = $1 AND c.exchange = $2 AND c.bucket >= $3 AND c.bucket < $4
            UNION
            SELECT c.bucket FROM %s AS c
            WHERE c.symbol = $1 AND c.exchange = $2 AND c.bucket >= $3 AND c.bucket < $4
        ) AS k
        $sql$,
        entasis_internal.shard_of('entasis.market_data', symbol_name),
        entasis_internal.shard_of('entasis.ohlcv_1m', symbol_name),
        entasis_internal.shard_of('entasis.ohlcv_1h', symbol_name),
        entasis_internal.shard_of('entasis.ohlcv_1d', symbol_name)
    ) INTO touched USING symbol_name, exchange_name, from_day, from_day + interval '24 hours';
    RETURN touched;
END
$$;

COMMENT ON FUNCTION entasis_internal.minutes_of_day IS
'Placeholders of the minutes with trades, and of the buckets with candles, of a market within 24 hours from from_day, on the node that has its shards. NULL: there are none.';
