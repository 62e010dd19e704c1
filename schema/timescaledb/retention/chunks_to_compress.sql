-- bits of chunk_status: 1 compressed, 2 and 8 written to since, 4 frozen by an administrator
CREATE OR REPLACE FUNCTION entasis_internal.chunks_to_compress(older_than interval)
RETURNS TABLE (relation text, partition_oid oid, partition_name name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT w.relation, p.partition_oid, p.partition_name
    FROM (
        VALUES ('market_data'), ('option_data'), ('ohlcv_1m'), ('exchange_candles')
    ) AS w (relation)
    CROSS JOIN LATERAL entasis_internal.partitions_of(w.relation) AS p
    CROSS JOIN LATERAL _timescaledb_functions.chunk_status(p.partition_oid) AS s (status)
    WHERE p.to_time <= now() - older_than AND s.status & 4 = 0 AND s.status & 11 <> 1
    ORDER BY p.to_time, w.relation
$$;

COMMENT ON FUNCTION entasis_internal.chunks_to_compress IS
'Chunks that ended longer ago than older_than and are not entirely in the columnstore: never compressed, or written to since.';
