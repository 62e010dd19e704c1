CREATE OR REPLACE FUNCTION entasis_internal.reopen_end(
    relation_name text,
    from_time timestamptz,
    to_time timestamptz,
    symbol_name text,
    exchange_name text
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    IF relation_name = 'market_data' AND EXISTS (
        SELECT FROM entasis_internal.candle_faults(
            symbol_name, exchange_name, reopen_end.from_time, reopen_end.to_time
        )
    ) THEN
        RAISE EXCEPTION 'candles from % to % do not equal their trades yet', from_time, to_time
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Run it again, as a member of entasis_owner where candles are continuous aggregates.';
    END IF;
    UPDATE entasis.reopened AS r SET opened_at = coalesce(r.opened_at, clock_timestamp())
    WHERE r.relation = relation_name
        AND r.symbol IS NOT DISTINCT FROM symbol_name
        AND r.exchange IS NOT DISTINCT FROM exchange_name
        AND r.from_time = reopen_end.from_time AND r.to_time = reopen_end.to_time;
    -- what was archived and is here again: an archive of it is made anew before it goes
    UPDATE entasis.archives AS a SET
        stale_at = coalesce(a.stale_at, clock_timestamp()), dropped_at = NULL
    FROM entasis.keep_periods AS k
    WHERE a.relation = k.relation AND relation_name IN (k.relation, k.derived_from)
        AND a.from_time < reopen_end.to_time AND a.to_time > reopen_end.from_time
        AND a.verified_at IS NOT NULL AND a.superseded_at IS NULL;
    PERFORM entasis.flush_caches();
    INSERT INTO entasis.maintenance_log (action, relation, detail)
    VALUES ('reopen', relation_name, format(
        '[%s, %s) %s', from_time, to_time,
        coalesce(concat_ws(' ', exchange_name, symbol_name), 'all markets')
    ));
END
$$;

COMMENT ON FUNCTION entasis_internal.reopen_end IS
'Last step of reopen(): opens the range for writers, if its candles equal its trades, and marks its archives as stale.';
