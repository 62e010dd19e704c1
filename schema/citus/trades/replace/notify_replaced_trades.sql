CREATE OR REPLACE FUNCTION entasis_internal.notify_replaced_trades() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM entasis_internal.notify_candle_changes(array_agg(
        row(
            t.symbol, t.exchange, date_bin('1 minute', t.timestamp, '2000-01-01 00:00:00+00'::timestamptz),
            0, 0, 0, 0, 0, 0, 0, t.timestamp, 0, t.timestamp, 0
        )::entasis.ohlcv_1m
    ))
    FROM (
        SELECT s.symbol, s.exchange, s.timestamp FROM pg_temp.entasis_staged_trades AS s
        UNION ALL
        SELECT r.symbol, r.exchange, r.timestamp FROM pg_temp.entasis_replaced_trades AS r
        WHERE NOT r.is_same
    ) AS t
    HAVING count(*) > 0;
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_replaced_trades IS
'Notifies caches of the minutes of pg_temp.entasis_staged_trades, and of those of the trades that they stand for.';
