-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.refresh_job(job_id integer, config jsonb)
LANGUAGE plpgsql
AS $$
DECLARE
    began pg_catalog.timestamptz := pg_catalog.clock_timestamp();
BEGIN
    CALL entasis.refresh_candles('-infinity', 'infinity');
    INSERT INTO entasis_internal.last_refresh AS l (started_at, finished_at)
    VALUES (began, pg_catalog.clock_timestamp())
    ON CONFLICT (only_row) DO UPDATE
        SET started_at = excluded.started_at, finished_at = excluded.finished_at
        WHERE l.started_at OPERATOR(pg_catalog.<) excluded.started_at;
    -- chunks are made by the rows that need them: this is where new ones are noted first
    PERFORM entasis_internal.record_partitions();
    COMMIT;
END
$$;

COMMENT ON PROCEDURE entasis_internal.refresh_job IS
'Job: brings every candle above the floor up to date with its trades, however late they came, records the run in last_refresh, and notes new chunks in known_partitions. Only what has changed is computed.';
