CREATE OR REPLACE PROCEDURE entasis_internal.refresh_job(job_id integer, config jsonb)
LANGUAGE plpgsql
AS $$
BEGIN
    CALL entasis.refresh_candles('-infinity', 'infinity');
END
$$;

COMMENT ON PROCEDURE entasis_internal.refresh_job (integer, jsonb) IS
'Job: brings every candle above the floor up to date with its trades, however late they came. Only what has changed is computed.';
