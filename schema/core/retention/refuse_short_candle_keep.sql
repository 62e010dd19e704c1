-- VOLATILE: a STABLE trigger function would read the rows as they were before the statement.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_short_candle_keep() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET intervalstyle = 'postgres'
AS $$
DECLARE
    short record;
BEGIN
    -- NULL is for ever
    SELECT c.relation, c.keep, raw.keep AS raw_keep INTO short
    FROM entasis.keep_periods AS raw
    CROSS JOIN entasis.keep_periods AS c
    WHERE
        raw.relation = c.derived_from
        AND c.keep IS NOT NULL
        AND (raw.keep IS NULL OR raw.keep > c.keep)
    ORDER BY c.relation
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'trades (kept %) would outlive their candles in % (kept %)',
            coalesce(short.raw_keep::text, 'for ever'), short.relation, short.keep
        USING ERRCODE = 'check_violation',
            HINT = 'A late trade changes its candle, which must still exist. Lengthen the candles'' keep period first.';
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_short_candle_keep IS
'Trigger of keep_periods: trades may not be kept longer than the candles made of them.';
