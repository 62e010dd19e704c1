-- As latest_trade(), of all markets at once: a range is read for those of which no trade was found in newer ones.
CREATE OR REPLACE FUNCTION entasis_internal.latest_trades()
RETURNS SETOF entasis.market_data
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    reach interval := '3 months';
    from_time timestamptz;
    to_time timestamptz := 'infinity';
    symbols varchar[];
    exchanges varchar[];
    trades entasis.market_data[];
BEGIN
    SELECT
        array_agg(m.symbol ORDER BY m.symbol, m.exchange),
        array_agg(m.exchange ORDER BY m.symbol, m.exchange)
    INTO symbols, exchanges
    FROM entasis.markets AS m;

    WHILE symbols IS NOT NULL AND to_time > '2009-01-01 00:00:00+00' LOOP
        from_time := month AT TIME ZONE 'UTC';
        SELECT
            array_agg(t.trade) FILTER (WHERE t.symbol IS NOT NULL),
            array_agg(m.symbol) FILTER (WHERE t.symbol IS NULL),
            array_agg(m.exchange) FILTER (WHERE t.symbol IS NULL)
        INTO trades, symbols, exchanges
        FROM unnest(symbols, exchanges) AS m (symbol, exchange)
        LEFT JOIN LATERAL (
            SELECT
                d.symbol,
                d AS trade
            FROM entasis.market_data AS d
            WHERE
                d.symbol = m.symbol
                AND d.exchange = m.exchange
                AND d.timestamp >= from_time
                AND d.timestamp < to_time
                AND d.excluded IS NULL
            ORDER BY d.timestamp DESC, d.id DESC
            LIMIT 1
        ) AS t ON true;
        RETURN QUERY SELECT t.* FROM unnest(trades) AS t;
        to_time := from_time;
        month := month - reach;
        reach := 4 * reach;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.latest_trades IS
'The newest trade of every market that candles count, by (timestamp, id). No row of a market: none is stored.';
