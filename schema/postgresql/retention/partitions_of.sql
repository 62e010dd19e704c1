-- Bounds are read from the catalog, not from names: a DBA may have made a partition with other bounds. The
-- catalog gives them as text, which is written and parsed with the same TimeZone and DateStyle.
CREATE OR REPLACE FUNCTION entasis_internal.partitions_of(relation_name text)
RETURNS TABLE (partition_oid oid, partition_name name, from_time timestamptz, to_time timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
BEGIN ATOMIC
    SELECT
        c.oid,
        c.relname,
        CASE
            WHEN b.bounds LIKE 'FOR VALUES FROM (MINVALUE)%' THEN '-infinity'
            ELSE substring(b.bounds FROM $re$FROM \('([^']+)'\)$re$)
        END::timestamptz,
        CASE
            WHEN b.bounds LIKE '%TO (MAXVALUE)' THEN 'infinity'
            ELSE substring(b.bounds FROM $re$TO \('([^']+)'\)$re$)
        END::timestamptz
    FROM pg_inherits AS i
    INNER JOIN pg_class AS c ON i.inhrelid = c.oid
    CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bounds) AS b
    WHERE
        i.inhparent = to_regclass(format('entasis.%I', relation_name))
        AND b.bounds IS NOT NULL
        AND b.bounds <> 'DEFAULT';
END;

COMMENT ON FUNCTION entasis_internal.partitions_of IS
'The partitions of one relation of schema entasis with their real bounds, [from_time, to_time).';
