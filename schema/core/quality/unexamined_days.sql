CREATE OR REPLACE FUNCTION entasis.unexamined_days(reach interval DEFAULT '32 days')
RETURNS TABLE (symbol varchar, exchange varchar, day timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    kept_from CONSTANT timestamptz := entasis_internal.trades_kept_from();
    market record;
    newest timestamptz;
    oldest timestamptz;
BEGIN
    FOR market IN
        SELECT m.symbol, m.exchange FROM entasis.markets AS m ORDER BY m.exchange, m.symbol
    LOOP
        SELECT max(e.day), min(e.day) INTO newest, oldest
        FROM entasis_internal.examined_days AS e
        WHERE e.symbol = market.symbol AND e.exchange = market.exchange;
        RETURN QUERY
        SELECT market.symbol, market.exchange, coalesce(c.bucket, e.day)
        FROM (
            SELECT d.bucket, entasis_internal.candle_fingerprint(
                d.trades, d.volume, d.quote_volume, d.high, d.low, d.closed_at
            ) AS candle
            FROM entasis.ohlcv_1d AS d
            WHERE d.symbol = market.symbol AND d.exchange = market.exchange
                AND d.bucket >= date_trunc('day', kept_from)
                AND d.bucket >= coalesce(newest - reach, '-infinity')
            UNION ALL
            -- history that was loaded since
            SELECT d.bucket, entasis_internal.candle_fingerprint(
                d.trades, d.volume, d.quote_volume, d.high, d.low, d.closed_at
            )
            FROM entasis.ohlcv_1d AS d
            WHERE d.symbol = market.symbol AND d.exchange = market.exchange
                AND d.bucket >= date_trunc('day', kept_from)
                AND d.bucket < least(oldest, newest - reach)
        ) AS c
        FULL JOIN (
            SELECT x.day, x.candle FROM entasis_internal.examined_days AS x
            WHERE x.symbol = market.symbol AND x.exchange = market.exchange
                AND x.day >= kept_from AND x.day >= newest - reach
        ) AS e ON c.bucket = e.day
        WHERE c.candle IS DISTINCT FROM e.candle
        ORDER BY 3;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis.unexamined_days IS
'UTC days of markets whose trades were not examined for anomalies, or have changed since: of the newest days that were, those within reach; all that are newer, and all that are older than the oldest. By exchange, symbol and day. Reads daily candles within reach, however many there are before.';
