-- As the owner: readers may not look at the copies, which are no distributed query.
CREATE OR REPLACE FUNCTION entasis_internal.candles_known_from(
    candle_interval entasis.candle_interval
) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lowest timestamptz;
BEGIN
    EXECUTE format(
        'SELECT f.floor FROM %s AS f WHERE f.relation = $1',
        entasis_internal.shard_copy('entasis_internal.shard_floors')
    ) INTO lowest USING entasis_internal.stored_level(candle_interval);
    RETURN lowest;
END
$$;

COMMENT ON FUNCTION entasis_internal.candles_known_from IS
'The floor of the stored relation that candles of an interval come from. A bucket that starts at or after it is known whole; for one that starts below it, ask is_known_below_floor().';
