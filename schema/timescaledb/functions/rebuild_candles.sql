-- See refresh_candles() for why only the owner may. See maintain() for why names are qualified.
CREATE OR REPLACE PROCEDURE entasis.rebuild_candles(
    from_time timestamptz, to_time timestamptz
)
LANGUAGE plpgsql
AS $$
DECLARE
    w record;
    minutes bigint := 0;
    days bigint := 0;
    jit_before text := pg_catalog.current_setting('jit');
    messages_before text := pg_catalog.current_setting('client_min_messages');
BEGIN
    IF from_time IS NULL OR to_time IS NULL THEN
        RAISE EXCEPTION 'both from_time and to_time must be given'
        USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Use ''-infinity'' and ''infinity'' for all there is.';
    END IF;
    IF NOT pg_catalog.pg_has_role('entasis_owner', 'USAGE') THEN
        RAISE EXCEPTION 'only a member of entasis_owner may rebuild continuous aggregates'
        USING ERRCODE = 'insufficient_privilege',
            HINT = 'CALL entasis.refresh_candles(from_time, to_time) brings up to date whatever trades have changed.';
    END IF;
    PERFORM pg_catalog.set_config('jit', 'off', false);
    -- that there was nothing to do is no news
    PERFORM pg_catalog.set_config('client_min_messages', 'warning', false);
    CALL entasis_internal.take_refresh_lock();
    FOR w IN SELECT * FROM entasis_internal.refresh_windows(from_time, to_time) LOOP
        -- not in batches: see refresh_candles()
        CALL public.refresh_continuous_aggregate(
            pg_catalog.format('entasis.%I', w.relation)::pg_catalog.regclass,
            w.window_from, w.window_to, force => true,
            options => '{"buckets_per_batch": 0}'
        );
        -- until 2.23 it leaves its last transaction open, and what changed is noted at the commit
        COMMIT;
    END LOOP;
    PERFORM entasis_internal.release_refresh_lock();
    PERFORM pg_catalog.set_config('jit', jit_before, false);
    PERFORM pg_catalog.set_config('client_min_messages', messages_before, false);
    SELECT pg_catalog.count(*), pg_catalog.count(DISTINCT (
        c.symbol, c.exchange, pg_catalog.date_trunc('day', c.bucket, 'UTC')
    )) INTO minutes, days
    FROM entasis_internal.refresh_windows(from_time, to_time) AS r
    INNER JOIN entasis.ohlcv_1m AS c
        ON c.bucket OPERATOR(pg_catalog.>=) r.window_from
        AND c.bucket OPERATOR(pg_catalog.<) r.window_to
    WHERE r.relation OPERATOR(pg_catalog.=) 'ohlcv_1m';
    RAISE NOTICE 'rebuilt % minutes in % market days', minutes, days;
END
$$;

COMMENT ON PROCEDURE entasis.rebuild_candles (timestamptz, timestamptz) IS
'Computes the candles of the UTC days that touch [from_time, to_time) anew from their trades, whether something has changed or not. Never reaches below the floor. Commits as it goes, so it cannot run inside a transaction block. Needs the rights of entasis_owner.';
