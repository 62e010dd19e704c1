CREATE OR REPLACE FUNCTION entasis_internal.make_partitions_below_floor(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    month timestamptz;
    member text;
BEGIN
    FOR month IN
        SELECT m FROM generate_series(
            date_trunc('month', make_partitions_below_floor.from_time),
            make_partitions_below_floor.to_time - interval '1 microsecond',
            interval '1 month'
        ) AS m
    LOOP
        -- candles first: their partitions must exist when a trade is inserted
        FOR member IN
            SELECT k.relation FROM entasis.keep_periods AS k
            WHERE relation_name IN (k.relation, k.derived_from)
            ORDER BY k.derived_from IS NULL, k.relation
        LOOP
            PERFORM entasis_internal.create_partition(
                member, greatest(month, make_partitions_below_floor.from_time)
            );
        END LOOP;
    END LOOP;
    PERFORM entasis_internal.record_partitions();
END
$$;

COMMENT ON FUNCTION entasis_internal.make_partitions_below_floor IS
'Creates the missing monthly partitions of a reopened range, for market_data those of the candles too.';
