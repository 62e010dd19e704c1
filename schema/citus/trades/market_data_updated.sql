-- SECURITY DEFINER, because writers have no rights on the candles.
CREATE OR REPLACE FUNCTION entasis_internal.market_data_updated() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    touched entasis.ohlcv_1m[];
    moved entasis_internal.moved_trades[];
BEGIN
    -- moved_trades explains why the transition tables are not enough
    moved := entasis_internal.take_moved_trades(tg_relid);

    IF least(
        (SELECT min(o.timestamp) FROM old_trades AS o),
        (SELECT min(n.timestamp) FROM new_trades AS n),
        (SELECT min(m.timestamp) FROM unnest(moved) AS m)
    ) < entasis_internal.trades_kept_from() THEN
        -- reopened ranges are whole days of a market
        PERFORM entasis_internal.refuse_below_floor(
            'market_data', min(t.timestamp), t.symbol, t.exchange
        )
        FROM (
            SELECT o.symbol, o.exchange, o.timestamp FROM old_trades AS o
            UNION ALL
            SELECT n.symbol, n.exchange, n.timestamp FROM new_trades AS n
            UNION ALL
            SELECT m.symbol, m.exchange, m.timestamp FROM unnest(moved) AS m
        ) AS t
        GROUP BY t.symbol, t.exchange, date_trunc('day', t.timestamp, 'UTC');
    END IF;

    -- Counted trades that went and that came, without those that did both: a statement that changes
    -- nothing, or only columns that no candle depends on, touches no candle.
    SELECT
        array_agg(
            row(
                g.symbol, g.exchange, g.bucket,
                0, 0, 0, 0, 0, 0, 0, g.earliest, 0, g.earliest, 0
            )::entasis.ohlcv_1m
        )
    INTO touched
    FROM (
        SELECT
            c.symbol,
            c.exchange,
            date_bin('1 minute', c.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
            min(c.timestamp) AS earliest
        FROM (
            SELECT t.symbol, t.exchange, t.timestamp
            FROM (
                SELECT o.symbol, o.exchange, o.timestamp, o.id, o.price, o.volume, 1 AS weight
                FROM old_trades AS o WHERE o.excluded IS NULL
                UNION ALL
                SELECT n.symbol, n.exchange, n.timestamp, n.id, n.price, n.volume, -1 AS weight
                FROM new_trades AS n WHERE n.excluded IS NULL
            ) AS t
            GROUP BY t.symbol, t.exchange, t.timestamp, t.id, t.price, t.volume
            HAVING sum(t.weight) <> 0
            UNION ALL
            SELECT m.symbol, m.exchange, m.timestamp FROM unnest(moved) AS m
        ) AS c
        GROUP BY 1, 2, 3
    ) AS g;
    IF touched IS NOT NULL THEN
        PERFORM entasis_internal.recompute_candles(touched);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_updated IS
'Trigger of market_data: recomputes the candles of updated or moved trades, unless nothing changed that they depend on.';
