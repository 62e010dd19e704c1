-- As latest_trade(), of all markets at once: a range is read for those that have no candle in newer ones.
CREATE OR REPLACE FUNCTION entasis_internal.latest_trades()
RETURNS SETOF entasis.market_data
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept_from CONSTANT timestamptz := entasis_internal.trades_kept_from();
    oldest CONSTANT timestamptz := greatest(kept_from, '2009-01-01 00:00:00+00');
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    reach interval := '3 months';
    from_time timestamptz;
    to_time timestamptz := 'infinity';
    symbols varchar[];
    exchanges varchar[];
    missing_symbols varchar[];
    missing_exchanges varchar[];
    trades entasis.market_data[];
BEGIN
    SELECT
        array_agg(m.symbol ORDER BY m.symbol, m.exchange),
        array_agg(m.exchange ORDER BY m.symbol, m.exchange)
    INTO symbols, exchanges
    FROM entasis.markets AS m;

    WHILE symbols IS NOT NULL AND to_time > oldest LOOP
        from_time := greatest(month AT TIME ZONE 'UTC', kept_from);
        SELECT
            array_agg(t.trade) FILTER (WHERE t.symbol IS NOT NULL),
            array_agg(m.symbol) FILTER (WHERE l.closed_at IS NOT NULL AND t.symbol IS NULL),
            array_agg(m.exchange) FILTER (WHERE l.closed_at IS NOT NULL AND t.symbol IS NULL),
            array_agg(m.symbol) FILTER (WHERE l.closed_at IS NULL),
            array_agg(m.exchange) FILTER (WHERE l.closed_at IS NULL)
        INTO trades, missing_symbols, missing_exchanges, symbols, exchanges
        FROM unnest(symbols, exchanges) AS m (symbol, exchange)
        LEFT JOIN LATERAL (
            SELECT c.closed_at
            FROM entasis.ohlcv_1m AS c
            WHERE
                c.symbol = m.symbol
                AND c.exchange = m.exchange
                AND c.bucket >= from_time
                AND c.bucket < to_time
            ORDER BY c.bucket DESC
            LIMIT 1
        ) AS l ON true
        LEFT JOIN LATERAL (
            SELECT
                d.symbol,
                d AS trade
            FROM entasis.market_data AS d
            WHERE
                d.symbol = m.symbol
                AND d.exchange = m.exchange
                AND d.timestamp = l.closed_at
                -- known when this is planned
                AND d.timestamp >= from_time
                AND d.timestamp < to_time
                AND d.excluded IS NULL
            ORDER BY d.id DESC
            LIMIT 1
        ) AS t ON true;
        RETURN QUERY SELECT t.* FROM unnest(trades) AS t;
        -- where a candle's trade is missing, older ones are looked for
        RETURN QUERY
        SELECT t.*
        FROM unnest(missing_symbols, missing_exchanges) AS m (symbol, exchange)
        CROSS JOIN LATERAL entasis_internal.latest_trade(m.symbol, m.exchange) AS t;
        to_time := from_time;
        month := month - reach;
        reach := 4 * reach;
    END LOOP;

    IF symbols IS NOT NULL THEN
        -- the floor may lie inside a minute
        to_time := kept_from + interval '1 minute';
        RETURN QUERY
        SELECT t.*
        FROM unnest(symbols, exchanges) AS m (symbol, exchange)
        CROSS JOIN LATERAL (
            SELECT d.*
            FROM entasis.market_data AS d
            WHERE
                d.symbol = m.symbol
                AND d.exchange = m.exchange
                AND d.timestamp < to_time
                AND d.excluded IS NULL
            ORDER BY d.timestamp DESC, d.id DESC
            LIMIT 1
        ) AS t;
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.latest_trades IS
'The newest trade of every market that candles count, by (timestamp, id). No row of a market: none is stored.';
