-- The watermark of the aggregate. Not a parsed body: see partitions_of().
CREATE OR REPLACE FUNCTION entasis_internal.candle_watermarks()
RETURNS TABLE (relation text, seconds double precision)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        a.user_view_name::text,
        extract(EPOCH FROM _timescaledb_functions.to_timestamp(
            _timescaledb_functions.cagg_watermark(a.mat_hypertable_id)
        ))::double precision
    FROM _timescaledb_catalog.continuous_agg AS a
    WHERE a.user_view_schema = 'entasis'
$$;

COMMENT ON FUNCTION entasis_internal.candle_watermarks IS
'For each stored interval, the watermark in seconds since 1970. Candles that end by then change only with a refresh, which notifies caches; later ones are computed when read, and change with every trade.';
