CREATE OR REPLACE FUNCTION entasis_internal.record_partitions() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- of what candles are computed from, before the name of a chunk is forgotten
    WITH present AS MATERIALIZED (
        SELECT
            r.relation,
            p.partition_name
        FROM unnest(ARRAY['market_data', 'ohlcv_1m', 'ohlcv_1h']) AS r (relation)
        CROSS JOIN LATERAL entasis_internal.partitions_of(r.relation) AS p
    )

    INSERT INTO entasis_internal.lost_ranges (relation, partition_name, ranges)
    SELECT
        k.relation,
        k.partition_name,
        tstzmultirange(tstzrange(greatest(k.from_time, f.floor), k.to_time)) AS ranges
    FROM entasis_internal.known_partitions AS k
    INNER JOIN entasis.floors AS f ON k.relation = f.relation
    LEFT OUTER JOIN present AS p
        ON k.relation = p.relation AND k.partition_name = p.partition_name
    WHERE
        k.relation IN ('market_data', 'ohlcv_1m', 'ohlcv_1h')
        -- below it, maintenance drops
        AND k.to_time > f.floor
        AND p.relation IS NULL
    ON CONFLICT (relation, partition_name) DO NOTHING;

    INSERT INTO entasis_internal.known_partitions AS s (
        relation, partition_name, from_time, to_time
    )
    SELECT
        k.relation,
        p.partition_name,
        p.from_time,
        p.to_time
    FROM entasis.keep_periods AS k
    CROSS JOIN LATERAL entasis_internal.partitions_of(k.relation) AS p
    ON CONFLICT (relation, from_time, to_time) DO UPDATE
        SET partition_name = excluded.partition_name
        WHERE s.partition_name <> excluded.partition_name;
END;

COMMENT ON FUNCTION entasis_internal.record_partitions IS
'Records the chunks that exist, for entasis.lifecycle to show those that are gone, and in lost_ranges those above the floor that are gone although candles were computed from them.';
