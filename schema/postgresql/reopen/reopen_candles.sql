-- Commits after each day of a market. maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.reopen_candles(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
)
LANGUAGE plpgsql
AS $$
DECLARE
    wrong pg_catalog.record;
BEGIN
    FOR wrong IN
        SELECT DISTINCT f.symbol, f.exchange, pg_catalog.date_trunc('day', f.bucket, 'UTC') AS day
        FROM entasis_internal.candle_faults(
            symbol_name, exchange_name, reopen_candles.from_time, reopen_candles.to_time
        ) AS f
        ORDER BY f.symbol, f.exchange, day
    LOOP
        PERFORM entasis_internal.reopen_market_day(wrong.symbol, wrong.exchange, wrong.day);
        COMMIT;
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis_internal.reopen_candles IS
'Makes the candles of a range that is being reopened from its trades, where they are missing. Commits after each day of a market.';
