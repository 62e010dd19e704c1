CREATE OR REPLACE FUNCTION entasis.flush_caches() RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT entasis_internal.notify_caches(jsonb_build_object('everything', true));
END;

COMMENT ON FUNCTION entasis.flush_caches IS
'Makes every cache of this database forget everything, at commit. For what no trigger sees: a partition that was attached or written to directly, rows that replication applied.';
