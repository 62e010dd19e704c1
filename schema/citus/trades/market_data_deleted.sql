-- SECURITY DEFINER, because writers have no rights on the candles.
CREATE OR REPLACE FUNCTION entasis_internal.market_data_deleted() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    touched entasis.ohlcv_1m[];
    earliest timestamptz;
BEGIN
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
        ) AS t
        GROUP BY 1, 2, 3
    ) AS g;

    -- a DELETE, or a MERGE with a DELETE action, fires the trigger even if it deleted nothing
    IF touched IS NULL THEN
        RETURN NULL;
    END IF;
    IF earliest < entasis_internal.trades_kept_from() THEN
        -- reopened ranges are whole days of a market
        PERFORM entasis_internal.refuse_below_floor(
            'market_data', min(m.opened_at), m.symbol, m.exchange
        )
        FROM unnest(touched) AS m
        GROUP BY m.symbol, m.exchange, date_trunc('day', m.opened_at, 'UTC');
    END IF;
    PERFORM entasis_internal.recompute_candles(touched);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_deleted IS
'Trigger of market_data: recomputes the candles of deleted trades.';
