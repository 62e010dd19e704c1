-- It commits as it goes, so it cannot be SECURITY DEFINER, and only their owner may refresh
-- continuous aggregates: for others the job does it. See maintain() for why names are qualified.
CREATE OR REPLACE PROCEDURE entasis.refresh_candles(
    from_time timestamptz, to_time timestamptz
)
LANGUAGE plpgsql
AS $$
DECLARE
    w record;
    jit_before text := pg_catalog.current_setting('jit');
    messages_before text := pg_catalog.current_setting('client_min_messages');
BEGIN
    IF from_time IS NULL OR to_time IS NULL THEN
        RAISE EXCEPTION 'both from_time and to_time must be given'
        USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Use ''-infinity'' and ''infinity'' for all there is.';
    END IF;
    IF NOT pg_catalog.pg_has_role('entasis_owner', 'USAGE') THEN
        CALL entasis_internal.await_refresh();
        RETURN;
    END IF;
    -- compiling these queries takes longer than running them
    PERFORM pg_catalog.set_config('jit', 'off', false);
    -- that there was nothing to do is no news
    PERFORM pg_catalog.set_config('client_min_messages', 'warning', false);
    CALL entasis_internal.take_refresh_lock();
    FOR w IN SELECT * FROM entasis_internal.refresh_windows(from_time, to_time) LOOP
        -- All at once: in batches, by default too, it loses a late trade for good that was noted
        -- alone and whose bucket begins a batch (tried on 2.28.3 with batches of 10 and 1,440).
        CALL public.refresh_continuous_aggregate(
            pg_catalog.format('entasis.%I', w.relation)::pg_catalog.regclass,
            w.window_from, w.window_to, options => '{"buckets_per_batch": 0}'
        );
    END LOOP;
    PERFORM entasis_internal.release_refresh_lock();
    PERFORM pg_catalog.set_config('jit', jit_before, false);
    PERFORM pg_catalog.set_config('client_min_messages', messages_before, false);
END
$$;

COMMENT ON PROCEDURE entasis.refresh_candles (timestamptz, timestamptz) IS
'After it, candles of the UTC days that touch [from_time, to_time) show every trade that was committed before it was called. Touches only what has changed, never reaches below the floor, and commits as it goes, so it cannot run inside a transaction block. A caller without the rights of entasis_owner waits until the job has refreshed all, a minute at most.';
