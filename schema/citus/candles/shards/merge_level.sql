CREATE OR REPLACE FUNCTION entasis_internal.merge_level(
    relation regclass, candles entasis.ohlcv_1m[]
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    EXECUTE format(
        $sql$
        INSERT INTO %s AS c
        SELECT n.* FROM unnest($1) AS n
        ORDER BY n.symbol, n.exchange, n.bucket
        ON CONFLICT (symbol, exchange, bucket) DO UPDATE SET
            open = CASE
                WHEN (excluded.opened_at, excluded.first_trade_id) < (c.opened_at, c.first_trade_id)
                    THEN excluded.open ELSE c.open END,
            first_trade_id = CASE
                WHEN (excluded.opened_at, excluded.first_trade_id) < (c.opened_at, c.first_trade_id)
                    THEN excluded.first_trade_id ELSE c.first_trade_id END,
            opened_at = least(excluded.opened_at, c.opened_at),
            high = greatest(excluded.high, c.high),
            low = least(excluded.low, c.low),
            close = CASE
                WHEN (excluded.closed_at, excluded.last_trade_id) > (c.closed_at, c.last_trade_id)
                    THEN excluded.close ELSE c.close END,
            last_trade_id = CASE
                WHEN (excluded.closed_at, excluded.last_trade_id) > (c.closed_at, c.last_trade_id)
                    THEN excluded.last_trade_id ELSE c.last_trade_id END,
            closed_at = greatest(excluded.closed_at, c.closed_at),
            volume = c.volume + excluded.volume,
            quote_volume = c.quote_volume + excluded.quote_volume,
            trades = c.trades + excluded.trades
        $sql$,
        entasis_internal.shard_of(relation, candles[1].symbol)
    ) USING candles;
END
$$;

COMMENT ON FUNCTION entasis_internal.merge_level IS
'Merges candles of one shard, of trades that are counted nowhere yet, into the stored ones of relation, in the order of the key.';
