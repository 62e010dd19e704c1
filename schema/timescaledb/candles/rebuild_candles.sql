-- refresh_levels() explains why only the owner may, maintain() why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis.rebuild_candles(
    from_time timestamptz, to_time timestamptz, forced boolean DEFAULT false
)
LANGUAGE plpgsql
AS $$
DECLARE
    minutes bigint := 0;
    days bigint := 0;
BEGIN
    PERFORM entasis_internal.check_range_bounds(from_time, to_time);
    IF NOT pg_catalog.pg_has_role('entasis_owner', 'USAGE') THEN
        RAISE EXCEPTION 'only a member of entasis_owner may rebuild continuous aggregates'
        USING ERRCODE = 'insufficient_privilege',
            HINT = 'CALL entasis.refresh_candles(from_time, to_time) brings up to date all candles whose trades have changed.';
    END IF;
    IF forced IS NOT TRUE THEN
        -- candles still count what was deleted since the last refresh
        CALL entasis_internal.refresh_levels(from_time, to_time, 'changed');
        PERFORM entasis_internal.refuse_missing_trades(from_time, to_time);
        PERFORM entasis_internal.forget_lost_ranges(from_time, to_time);
        CALL entasis_internal.refresh_levels(from_time, to_time, 'all with trades');
    ELSE
        PERFORM entasis_internal.record_partitions();
        PERFORM entasis_internal.forget_lost_ranges(from_time, to_time);
        CALL entasis_internal.refresh_levels(from_time, to_time, 'all');
    END IF;
    SELECT pg_catalog.count(*), pg_catalog.count(DISTINCT (
        c.symbol, c.exchange, pg_catalog.date_trunc('day', c.bucket, 'UTC')
    )) INTO minutes, days
    FROM entasis_internal.refresh_windows(
        rebuild_candles.from_time, rebuild_candles.to_time, forced IS TRUE
    ) AS r
    INNER JOIN entasis.ohlcv_1m AS c
        ON c.bucket OPERATOR(pg_catalog.>=) r.window_from
        AND c.bucket OPERATOR(pg_catalog.<) r.window_to
    WHERE r.relation OPERATOR(pg_catalog.=) 'ohlcv_1m';
    RAISE NOTICE 'rebuilt % minutes in % market days', minutes, days;
END
$$;

COMMENT ON PROCEDURE entasis.rebuild_candles IS
'Recomputes the candles of the UTC days that overlap [from_time, to_time) from their trades, changed or not. Refuses a range in which trades are missing, that is, a candle counts more than market_data holds, unless forced. Does not change candles below the floor. Commits after each step, so it cannot run inside a transaction block. Needs the rights of entasis_owner.';
