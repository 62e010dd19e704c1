-- Commits after each day of a market, which bounds its memory and how long a writer waits for it.
-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis.rebuild_candles(
    from_time timestamptz, to_time timestamptz, forced boolean DEFAULT false
)
LANGUAGE plpgsql
AS $$
DECLARE
    d pg_catalog.record;
    m pg_catalog.record;
    looked_at bigint := 0;
    days bigint := 0;
    minutes integer;
BEGIN
    PERFORM entasis_internal.check_range_bounds(from_time, to_time);
    IF forced IS NOT TRUE THEN
        PERFORM entasis_internal.refuse_missing_trades(from_time, to_time);
    END IF;
    FOR m IN
        SELECT w.symbol, w.exchange
        FROM entasis_internal.known_markets(rebuild_candles.from_time, rebuild_candles.to_time) AS w
    LOOP
        FOR d IN
            SELECT w.day
            FROM entasis_internal.days_of_market(
                m.symbol, m.exchange, rebuild_candles.from_time, rebuild_candles.to_time
            ) AS w
        LOOP
            -- Citus makes no partition in a transaction that has read much
            COMMIT;
            -- a partition of candles that was dropped by hand
            PERFORM entasis.ensure_partitions(
                'market_data', d.day, d.day OPERATOR(pg_catalog.+) '1 day'::pg_catalog.interval
            );
            COMMIT;
            minutes := entasis_internal.rebuild_market_day(m.symbol, m.exchange, d.day, forced);
            looked_at := looked_at OPERATOR(pg_catalog.+) minutes;
            days := days OPERATOR(pg_catalog.+) 1;
            COMMIT;
        END LOOP;
    END LOOP;
    RAISE NOTICE 'rebuilt % minutes in % market days', looked_at, days;
END
$$;

COMMENT ON PROCEDURE entasis.rebuild_candles IS
'Recomputes the candles of the UTC days that overlap [from_time, to_time) from their trades, while writers run. Refuses a range in which trades are missing, that is, a candle counts more than market_data holds, unless forced. Does not change candles below the floor. Commits after each day of a market, so it cannot run inside a transaction block.';
