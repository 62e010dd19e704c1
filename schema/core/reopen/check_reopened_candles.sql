-- A range may be open for one market and for all: each candle is told once.
CREATE OR REPLACE FUNCTION entasis_internal.check_reopened_candles(
    from_time timestamptz, to_time timestamptz
) RETURNS TABLE (
    relation text,
    symbol varchar,
    exchange varchar,
    bucket timestamptz,
    problem text,
    missing_trades bigint,
    stored jsonb,
    expected jsonb
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT DISTINCT
        f.relation,
        f.symbol::varchar AS symbol,
        f.exchange::varchar AS exchange,
        f.bucket,
        CASE
            WHEN f.counted > f.stored THEN 'missing trades'
            WHEN f.candle IS NULL THEN 'missing'
            WHEN f.expected IS NULL THEN 'surplus'
            ELSE 'different'
        END AS problem,
        greatest(f.counted - f.stored, 0) AS missing_trades,
        f.candle AS stored,
        f.expected
    FROM entasis.reopened AS r
    CROSS JOIN
        LATERAL entasis_internal.candle_faults(
            r.symbol, r.exchange,
            greatest(r.from_time, check_reopened_candles.from_time),
            least(r.to_time, check_reopened_candles.to_time)
        ) AS f
    WHERE
        r.relation = 'market_data'
        AND r.opened_at IS NOT NULL
        AND r.from_time < check_reopened_candles.to_time
        AND r.to_time > check_reopened_candles.from_time;
END;

COMMENT ON FUNCTION entasis_internal.check_reopened_candles IS
'Does for check_candles() what concerns the UTC days below the floor that are open for writers again.';
