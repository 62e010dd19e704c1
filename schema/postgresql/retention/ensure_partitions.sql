CREATE OR REPLACE FUNCTION entasis.ensure_partitions(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    made integer := 0;
    month timestamptz;
    member text;
BEGIN
    PERFORM entasis_internal.check_partition_range(relation_name, from_time, to_time);

    FOR month IN
        SELECT m FROM generate_series(
            date_trunc('month', ensure_partitions.from_time),
            ensure_partitions.to_time - interval '1 microsecond',
            interval '1 month'
        ) AS m
    LOOP
        FOREACH member IN ARRAY CASE
            WHEN relation_name = 'market_data'
                -- candles first: their partitions must exist when a trade is inserted
                THEN ARRAY['ohlcv_1m', 'ohlcv_1h', 'ohlcv_1d', 'market_data']
            ELSE ARRAY[relation_name]
        END LOOP
            made := made + entasis_internal.create_partition(
                member, greatest(month, from_time)
            )::integer;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

COMMENT ON FUNCTION entasis.ensure_partitions IS
'Creates the missing monthly partitions of a relation in [from_time, to_time), for market_data those of the candles too, and returns how many it created. Refuses times before 2009, below the floor, and further ahead than keep_periods.months_ahead, and more than 36 months at a time.';
