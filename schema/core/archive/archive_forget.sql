CREATE OR REPLACE FUNCTION entasis_internal.archive_forget(archive_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM entasis.archives AS a
    WHERE a.id = archive_forget.archive_id
        AND (a.verified_at IS NULL OR a.superseded_at IS NOT NULL);
END
$$;

COMMENT ON FUNCTION entasis_internal.archive_forget IS
'Deletes the row of an archive that was never verified or has been superseded, after its objects were removed. Leaves a current archive alone.';
