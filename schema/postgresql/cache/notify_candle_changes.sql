-- 25 markets a notification: its payload is limited to 8,000 bytes, and a name takes up to 120 as JSON.
CREATE OR REPLACE FUNCTION entasis_internal.notify_candle_changes(minutes entasis.ohlcv_1m[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT entasis_internal.has_cache_listeners() THEN
        RETURN;
    END IF;
    PERFORM entasis_internal.notify_caches(jsonb_build_object('trades', p.markets))
    FROM (
        SELECT
            jsonb_agg(
                jsonb_build_array(m.symbol, m.exchange, m.first_minute, m.last_minute)
            ) AS markets
        FROM (
            SELECT
                n.symbol,
                n.exchange,
                extract(EPOCH FROM min(n.bucket))::bigint AS first_minute,
                extract(EPOCH FROM max(n.bucket))::bigint AS last_minute,
                (row_number() OVER (ORDER BY n.symbol, n.exchange) - 1) / 25 AS piece
            FROM unnest(minutes) AS n
            GROUP BY n.symbol, n.exchange
        ) AS m
        GROUP BY m.piece
    ) AS p;
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_candle_changes IS
'Notifies caches, if any are listening, of the markets and minutes that changed. Only the keys of the argument are used.';
