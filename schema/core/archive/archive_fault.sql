CREATE OR REPLACE FUNCTION entasis_internal.archive_fault(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT
        CASE
            WHEN count(*) = 0
                THEN 'it is marked as archived, and no verified archive of it is on record'
            WHEN bool_or(a.stale_at IS NOT NULL)
                THEN 'rows changed after it was archived, and it has to be archived again'
        END
    FROM entasis.archives AS a
    WHERE
        a.relation = archive_fault.relation_name
        AND a.from_time = archive_fault.from_time
        AND a.to_time = archive_fault.to_time
        AND a.verified_at IS NOT NULL
        AND a.superseded_at IS NULL;
END;

COMMENT ON FUNCTION entasis_internal.archive_fault IS
'Why the manifest does not allow the range to be dropped, in words. NULL: it has a verified archive; whether the rows still equal it is checked by check_archive_and_record_drop() at the drop.';
