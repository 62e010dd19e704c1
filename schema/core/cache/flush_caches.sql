CREATE OR REPLACE FUNCTION entasis.flush_caches() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT entasis_internal.notify_caches(jsonb_build_object('everything', true));
END;

COMMENT ON FUNCTION entasis.flush_caches IS
'Has every cache of this database evict everything, at commit. For changes that fire no trigger: a partition that was attached or written to directly, rows applied by replication.';
