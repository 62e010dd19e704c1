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

COMMENT ON VIEW entasis.migrations IS
'The migrations that this database has.';
COMMENT ON COLUMN entasis.migrations.migration IS
'Its number and name.';
COMMENT ON COLUMN entasis.migrations.applied_at IS
'When it was applied; UTC.';

COMMENT ON VIEW entasis.partitions IS
'The partitions that there are, with their real bounds and sizes.';
COMMENT ON COLUMN entasis.partitions.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.partitions.partition_name IS
'Table of schema entasis that holds the rows.';
COMMENT ON COLUMN entasis.partitions.from_time IS
'First moment that belongs to it, included; UTC.';
COMMENT ON COLUMN entasis.partitions.to_time IS
'First moment that no longer belongs to it; UTC.';
COMMENT ON COLUMN entasis.partitions.estimated_rows IS
'Rows as of the last ANALYZE. -1: never analyzed.';
COMMENT ON COLUMN entasis.partitions.bytes IS
'Size on disk with its indexes, in bytes.';
COMMENT ON COLUMN entasis.partitions.past_keep IS
'True: it lies wholly past its keep period, and maintain() drops it unless something keeps it.';
