CREATE OR REPLACE FUNCTION entasis_internal.mark_archive_stale(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    UPDATE entasis.archives AS a SET stale_at = clock_timestamp()
    WHERE
        a.relation = mark_archive_stale.relation_name
        AND a.from_time = mark_archive_stale.from_time
        AND a.to_time = mark_archive_stale.to_time
        AND a.verified_at IS NOT NULL
        AND a.superseded_at IS NULL
        AND a.stale_at IS NULL;
END;

COMMENT ON FUNCTION entasis_internal.mark_archive_stale IS
'Records that the rows of a range differ from its archive. The range is not dropped before it has been archived again.';
