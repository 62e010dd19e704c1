-- A notification's payload is limited to 8,000 bytes, and a market takes up to 550 of them: the first one of a
-- piece may begin in the one before.
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
            jsonb_agg(m.change) AS markets
        FROM (
            SELECT
                c.change,
                sum(octet_length(c.change::text) + 2) OVER (ORDER BY c.symbol, c.exchange)
                / 7000 AS piece
            FROM (
                SELECT
                    n.symbol,
                    n.exchange,
                    jsonb_build_array(
                        n.symbol, n.exchange,
                        extract(EPOCH FROM min(n.bucket))::bigint,
                        extract(EPOCH FROM max(n.bucket))::bigint
                    ) AS change
                FROM unnest(minutes) AS n
                GROUP BY n.symbol, n.exchange
            ) AS c
        ) AS m
        GROUP BY m.piece
    ) AS p;
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_candle_changes IS
'Notifies caches, if any are listening, of the markets and minutes that changed. Only the keys of the argument are used.';
