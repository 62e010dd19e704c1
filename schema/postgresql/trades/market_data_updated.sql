-- SECURITY DEFINER, because writers have no rights on the candles.
CREATE OR REPLACE FUNCTION entasis_internal.market_data_updated() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    touched entasis.ohlcv_1m[];
    moved entasis_internal.moved_trades[];
    earliest timestamptz;
BEGIN
    -- moved_trades explains why the transition tables are not enough
    IF current_setting('entasis.moved', true) = 'on' THEN
        WITH taken AS (
            DELETE FROM entasis_internal.moved_trades AS m
            WHERE m.transaction_id = pg_current_xact_id()
            RETURNING m
        )
        SELECT array_agg(t.m) INTO moved FROM taken AS t;
        PERFORM set_config('entasis.moved', 'off', true);
    END IF;

    SELECT
        array_agg(
            row(
                g.symbol, g.exchange, g.bucket,
                0, 0, 0, 0, 0, 0, 0, g.earliest, 0, g.earliest, 0
            )::entasis.ohlcv_1m
        ),
        min(g.earliest)
    INTO touched, earliest
    FROM (
        SELECT
            t.symbol,
            t.exchange,
            date_bin('1 minute', t.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
            min(t.timestamp) AS earliest
        FROM (
        SELECT o.symbol, o.exchange, o.timestamp FROM old_trades AS o
        UNION ALL
        SELECT n.symbol, n.exchange, n.timestamp FROM new_trades AS n
        UNION ALL
        SELECT m.symbol, m.exchange, m.timestamp FROM unnest(moved) AS m
        ) AS t
        GROUP BY 1, 2, 3
    ) AS g;

    -- fires also for a statement that updated nothing: an upsert whose trades are all new, for example
    IF touched IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM entasis_internal.refuse_below_floor('market_data', earliest);
    PERFORM entasis_internal.recompute_candles(touched);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_updated IS
'Trigger of market_data: recomputes the candles of updated or moved trades.';
