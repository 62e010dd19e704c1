-- A derived candle's columns mean what the stored candle's do: one text serves.
DO $comments$
DECLARE
    described record;
BEGIN
    FOR described IN
        SELECT
            v.relname,
            a.attname,
            pg_catalog.col_description(m.attrelid, m.attnum) AS meaning
        FROM pg_catalog.pg_class AS v
        INNER JOIN pg_catalog.pg_attribute AS a ON v.oid = a.attrelid AND a.attnum > 0
        INNER JOIN pg_catalog.pg_attribute AS m
            ON m.attrelid = 'entasis.ohlcv_1m'::regclass AND a.attname = m.attname
        WHERE
            v.relnamespace = 'entasis'::regnamespace
            AND v.relkind = 'v'
            AND v.relname LIKE '%ohlcv%'
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN entasis.%I.%I IS %L',
            described.relname, described.attname, described.meaning
        );
    END LOOP;
END
$comments$;

COMMENT ON COLUMN entasis.mv_ohlcv_1h.timeframe IS
'Beginning of the hour, UTC; trades in [timeframe, timeframe + 1 hour) belong to it.';
