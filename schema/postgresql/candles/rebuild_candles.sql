-- Commits after each market's day, which bounds its memory and how long a writer waits for it.
-- See maintain() for why every name in it is qualified.
CREATE OR REPLACE PROCEDURE entasis.rebuild_candles(
    from_time timestamptz, to_time timestamptz
)
LANGUAGE plpgsql
AS $$
DECLARE
    d record;
    m record;
    looked_at bigint := 0;
    days bigint := 0;
BEGIN
    PERFORM entasis_internal.check_range_bounds(from_time, to_time);
    FOR m IN SELECT w.symbol, w.exchange FROM entasis_internal.known_markets() AS w LOOP
        FOR d IN
            SELECT w.day
            FROM entasis_internal.days_of_market(
                m.symbol, m.exchange, rebuild_candles.from_time, rebuild_candles.to_time
            ) AS w
        LOOP
            looked_at := looked_at OPERATOR(pg_catalog.+)
                entasis_internal.rebuild_market_day(m.symbol, m.exchange, d.day);
            days := days OPERATOR(pg_catalog.+) 1;
            COMMIT;
        END LOOP;
    END LOOP;
    RAISE NOTICE 'rebuilt % minutes in % market days', looked_at, days;
END
$$;

COMMENT ON PROCEDURE entasis.rebuild_candles IS
'Computes the candles of the UTC days that touch [from_time, to_time) anew from their trades, beside running writers. Never reaches below the floor. Commits as it goes, so it cannot run inside a transaction block.';
