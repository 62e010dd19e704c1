-- It commits, so it cannot be SECURITY DEFINER, and only the owner of continuous aggregates may refresh them.
-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.refresh_levels(
    from_time timestamptz, to_time timestamptz, candles text
)
LANGUAGE plpgsql
AS $$
DECLARE
    w pg_catalog.record;
    run bigint;
    windows integer := 0;
    jit_before pg_catalog.text := pg_catalog.current_setting('jit');
    messages_before pg_catalog.text := pg_catalog.current_setting('client_min_messages');
    merge_before pg_catalog.text := pg_catalog.current_setting('timescaledb.enable_merge_on_cagg_refresh');
BEGIN
    -- JIT compilation takes longer than these queries
    PERFORM pg_catalog.set_config('jit', 'off', false);
    -- no notice when an aggregate is already up to date
    PERFORM pg_catalog.set_config('client_min_messages', 'warning', false);
    -- with it, refreshes of 2.28.3 leave wrong candles; it is off by default
    PERFORM pg_catalog.set_config('timescaledb.enable_merge_on_cagg_refresh', 'off', false);
    CALL entasis_internal.acquire_refresh_lock();
    run := entasis.begin_run('refresh');
    -- the log of runs keeps it, whatever happens
    COMMIT;
    -- what was dropped by hand since the last refresh
    PERFORM entasis_internal.record_partitions();
    COMMIT;
    FOR w IN
        SELECT * FROM entasis_internal.refresh_windows(
            refresh_levels.from_time,
            refresh_levels.to_time,
            refresh_levels.candles OPERATOR(pg_catalog.=) 'all'
        )
    LOOP
        -- refresh_windows() explains why not in batches
        CALL public.refresh_continuous_aggregate(
            pg_catalog.format('entasis.%I', w.relation)::pg_catalog.regclass,
            w.window_from, w.window_to,
                force => refresh_levels.candles OPERATOR(pg_catalog.<>) 'changed', options => '{"buckets_per_batch": 0}'
        );
        windows := windows OPERATOR(pg_catalog.+) 1;
        -- until 2.23 it leaves its last transaction open; changes are recorded at the commit
        COMMIT;
    END LOOP;
    PERFORM entasis.end_run(
        run, 'done', pg_catalog.jsonb_build_object('candles', refresh_levels.candles, 'ranges', windows)
    );
    PERFORM entasis_internal.release_refresh_lock();
    PERFORM pg_catalog.set_config('jit', jit_before, false);
    PERFORM pg_catalog.set_config('client_min_messages', messages_before, false);
    PERFORM pg_catalog.set_config(
        'timescaledb.enable_merge_on_cagg_refresh', merge_before, false
    );
END
$$;

COMMENT ON PROCEDURE entasis_internal.refresh_levels IS
'Refreshes the continuous aggregates for the UTC days that overlap [from_time, to_time), minutes first. candles is ''changed'' for those whose trades have changed, ''all with trades'' for all of the chunks that exist, ''all'' for those of dropped chunks too, which are deleted then. Commits after each step. Needs the rights of entasis_owner.';
