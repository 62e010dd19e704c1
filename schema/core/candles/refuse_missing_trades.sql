-- A candle that is computed anew counts the trades that are there. Where it counted more, nothing else knows
-- of the others.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_missing_trades(
    from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    market_days bigint;
    first_day timestamptz;
    last_day timestamptz;
BEGIN
    SELECT
        count(DISTINCT (f.symbol, f.exchange, date_trunc('day', f.bucket))),
        date_trunc('day', min(f.bucket)),
        date_trunc('day', max(f.bucket))
    INTO market_days, first_day, last_day
    FROM entasis.check_candles(
        refuse_missing_trades.from_time, refuse_missing_trades.to_time
    ) AS f
    WHERE f.missing_trades > 0
        -- what is reopened below the floor is not rebuilt
        AND f.bucket >= (
            SELECT l.floor FROM entasis.floors AS l WHERE l.relation = 'market_data'
        );
    IF market_days > 0 THEN
        RAISE EXCEPTION
            'trades are missing: candles of % market days, from % to %, count more than market_data holds',
            market_days,
            to_char(first_day, 'YYYY-MM-DD'),
            to_char(last_day + interval '1 day', 'YYYY-MM-DD')
        USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'Nothing was rebuilt: these candles are the last that is known of those trades.',
            HINT = 'entasis.check_candles() lists them. Bring the trades back; or force it (forced => true, entasis rebuild --force), and the candles count only what is left.';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_missing_trades IS
'Raises object_not_in_prerequisite_state if a candle of the UTC days that overlap [from_time, to_time) counts more trades than market_data holds.';
