-- SECURITY DEFINER, because writers have no rights on the candles.
CREATE OR REPLACE FUNCTION entasis_internal.market_data_inserted() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    minutes entasis.ohlcv_1m[];
    uncounted entasis.ohlcv_1m[];
    earliest timestamptz;
    lowest_price numeric;
BEGIN
    -- Batches mostly come in the order of the key, which costs next to no sorting as long as the groups are in it too:
    -- so those that do not count are asked for apart.
    SELECT array_agg(g.candle), min(g.opened_at), min(g.low)
    INTO minutes, earliest, lowest_price
    FROM (
        SELECT
            row(
                m.symbol, m.exchange, m.bucket,
                m.prices[1], m.high, m.low, m.prices[m.trades],
                m.volume, m.quote_volume, m.trades,
                m.opened_at, m.ids[1], m.closed_at, m.ids[m.trades]
            )::entasis.ohlcv_1m AS candle,
            m.opened_at,
            m.low
        FROM (
            SELECT
                n.symbol,
                n.exchange,
                date_bin('1 minute', n.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
                -- in one order, so that they are sorted once
                array_agg(n.price ORDER BY n.timestamp, n.id) AS prices,
                array_agg(n.id ORDER BY n.timestamp, n.id) AS ids,
                max(n.price) AS high,
                min(n.price) AS low,
                sum(n.volume) AS volume,
                sum(n.price * n.volume) AS quote_volume,
                count(*) AS trades,
                min(n.timestamp) AS opened_at,
                max(n.timestamp) AS closed_at
            FROM new_trades AS n
            WHERE n.excluded IS NULL
            GROUP BY 1, 2, 3
        ) AS m
    ) AS g;
    SELECT
        array_agg(
            row(
                g.symbol, g.exchange, g.bucket,
                0, 0, g.low, 0, 0, 0, 0, g.opened_at, 0, g.opened_at, 0
            )::entasis.ohlcv_1m
        ),
        least(earliest, min(g.opened_at)),
        least(lowest_price, min(g.low))
    INTO uncounted, earliest, lowest_price
    FROM (
        SELECT
            n.symbol,
            n.exchange,
            date_bin('1 minute', n.timestamp, '2000-01-01 00:00:00+00'::timestamptz) AS bucket,
            min(n.price) AS low,
            min(n.timestamp) AS opened_at
        FROM new_trades AS n
        WHERE n.excluded IS NOT NULL
        GROUP BY 1, 2, 3
    ) AS g;

    IF earliest IS NULL THEN
        RETURN NULL;
    END IF;
    IF earliest < entasis_internal.trades_kept_from() THEN
        -- reopened ranges are whole days of a market
        PERFORM entasis_internal.refuse_below_floor(
            'market_data', min(m.opened_at), m.symbol, m.exchange
        )
        FROM unnest(minutes || uncounted) AS m
        GROUP BY m.symbol, m.exchange, date_trunc('day', m.opened_at, 'UTC');
    END IF;
    -- here and not in a row trigger, because the lowest prices are known anyway
    IF lowest_price <= 0 THEN
        PERFORM entasis_internal.check_price_sign(m.symbol, m.exchange, min(m.low))
        FROM unnest(minutes || uncounted) AS m
        GROUP BY m.symbol, m.exchange;
    END IF;

    IF uncounted IS NOT NULL THEN
        PERFORM entasis_internal.record_traded_markets(uncounted);
    END IF;
    IF minutes IS NULL THEN
        RETURN NULL;
    END IF;

    -- recompute_candles() notes it and explains why
    IF entasis_internal.is_recomputing(minutes[1].symbol) THEN
        PERFORM entasis_internal.recompute_candles(minutes);
    ELSE
        PERFORM entasis_internal.merge_candles(minutes);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_inserted IS
'Trigger of market_data: merges the trades that a statement inserted into the candles, but for those that are excluded. Refuses prices of 0 or below but for combos and spreads.';
