-- Cut into days, so that each can be a transaction.
CREATE OR REPLACE FUNCTION entasis.market_days(
    symbol_name text DEFAULT NULL,
    exchange_name text DEFAULT NULL,
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity'
) RETURNS TABLE (symbol varchar, exchange varchar, begins_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT
        d.symbol,
        d.exchange,
        greatest(d.bucket, market_days.from_time, k.kept_from) AS begins_at,
        least(d.bucket + interval '1 day', market_days.to_time) AS ends_at
    FROM entasis.ohlcv_1d AS d
    CROSS JOIN (SELECT entasis_internal.trades_kept_from() AS kept_from) AS k
    WHERE
        d.symbol = coalesce(market_days.symbol_name, d.symbol)
        AND d.exchange = coalesce(market_days.exchange_name, d.exchange)
        AND d.bucket > greatest(market_days.from_time, k.kept_from) - interval '1 day'
        AND d.bucket < market_days.to_time
    ORDER BY d.exchange, d.symbol, d.bucket;
END;

COMMENT ON FUNCTION entasis.market_days IS
'The UTC days of [from_time, to_time) on which markets have trades, of all or of those named, by exchange, symbol and day, from begins_at (included) to ends_at (not included). None below the floor of market_data.';
