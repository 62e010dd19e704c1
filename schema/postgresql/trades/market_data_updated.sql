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
    WITH taken AS (
        DELETE FROM entasis_internal.moved_trades AS m
        WHERE m.transaction_id = pg_current_xact_id_if_assigned()
        RETURNING m
    )
    SELECT array_agg(t.m) INTO moved FROM taken AS t;

    IF least(
        (SELECT min(o.timestamp) FROM old_trades AS o),
        (SELECT min(n.timestamp) FROM new_trades AS n),
        (SELECT min(m.timestamp) FROM unnest(moved) AS m)
    ) < (SELECT f.floor FROM entasis.floors AS f WHERE f.relation = 'market_data') THEN
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

    -- cached trades have these columns too, and the recomputation above notifies of candles only
    IF entasis_internal.has_cache_listeners() THEN
        PERFORM entasis_internal.notify_candle_changes(array_agg(
            row(
                t.symbol, t.exchange,
                date_bin('1 minute', t.timestamp, '2000-01-01 00:00:00+00'::timestamptz),
                0, 0, 0, 0, 0, 0, 0, t.timestamp, 0, t.timestamp, 0
            )::entasis.ohlcv_1m
        ))
        FROM (
            SELECT s.symbol, s.exchange, s.timestamp
            FROM (
                SELECT o.symbol, o.exchange, o.timestamp, o.id, o.side, o.source_id, o.excluded,
                    1 AS weight
                FROM old_trades AS o
                UNION ALL
                SELECT n.symbol, n.exchange, n.timestamp, n.id, n.side, n.source_id, n.excluded,
                    -1 AS weight
                FROM new_trades AS n
            ) AS s
            GROUP BY s.symbol, s.exchange, s.timestamp, s.id, s.side, s.source_id, s.excluded
            HAVING sum(s.weight) <> 0
        ) AS t;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_updated IS
'Trigger of market_data: recomputes the candles of updated or moved trades, unless nothing changed that they depend on, and notifies caches of trades whose other columns changed.';
