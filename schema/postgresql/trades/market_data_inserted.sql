-- SECURITY DEFINER, because writers have no rights on the candles.
CREATE OR REPLACE FUNCTION entasis_internal.market_data_inserted() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    minutes entasis.ohlcv_1m[];
    earliest timestamptz;
    lowest_price numeric;
BEGIN
    SELECT
        array_agg(
            row(
                g.symbol, g.exchange, g.bucket,
                g.opening[3], g.high, g.low, g.closing[3],
                g.volume, g.quote_volume, g.trades,
                g.opened_at, g.opening[2], g.closed_at, g.closing[2]
            )::entasis.ohlcv_1m
        ),
        min(g.opened_at),
        min(g.low)
    INTO minutes, earliest, lowest_price
    FROM (
        SELECT
            n.symbol,
            n.exchange,
            date_bin('1 minute', n.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
            min(entasis_internal.trade_order(n.timestamp, n.id, n.price)) AS opening,
            max(n.price) AS high,
            min(n.price) AS low,
            max(entasis_internal.trade_order(n.timestamp, n.id, n.price)) AS closing,
            sum(n.volume) AS volume,
            sum(n.price * n.volume) AS quote_volume,
            count(*) AS trades,
            min(n.timestamp) AS opened_at,
            max(n.timestamp) AS closed_at
        FROM new_trades AS n
        GROUP BY 1, 2, 3
    ) AS g;

    IF minutes IS NULL THEN
        RETURN NULL;
    END IF;
    IF earliest < (SELECT f.floor FROM entasis.floors AS f WHERE f.relation = 'market_data') THEN
        -- reopened ranges are whole days of a market
        PERFORM entasis_internal.refuse_below_floor(
            'market_data', min(m.opened_at), m.symbol, m.exchange
        )
        FROM unnest(minutes) AS m
        GROUP BY m.symbol, m.exchange, date_trunc('day', m.opened_at, 'UTC');
    END IF;
    -- here and not in a row trigger, because the lowest prices are known anyway
    IF lowest_price <= 0 THEN
        PERFORM entasis_internal.check_price_sign(m.symbol, m.exchange, min(m.low))
        FROM unnest(minutes) AS m
        GROUP BY m.symbol, m.exchange;
    END IF;

    -- recompute_candles() sets it and explains why
    IF current_setting('entasis.recompute', true) = 'on' THEN
        PERFORM entasis_internal.recompute_candles(minutes);
    ELSE
        PERFORM entasis_internal.merge_candles(minutes);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_inserted IS
'Trigger of market_data: merges the trades that a statement inserted into the candles. Refuses prices of 0 or below but for combos and spreads.';
