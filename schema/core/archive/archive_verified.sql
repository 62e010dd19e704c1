-- Compares what the caller read back from the store with the rows that archive_counted() found. Rows that
-- changed since then differ at the drop, which counts again.
CREATE OR REPLACE FUNCTION entasis_internal.archive_verified(
    archive_id bigint, read_rows bigint, read_checksum numeric, objects jsonb
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    begun entasis.archives;
BEGIN
    SELECT a.* INTO begun FROM entasis.archives AS a
    WHERE a.id = archive_verified.archive_id AND a.verified_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no archive % is waiting for verification', archive_verified.archive_id
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF (begun.row_count, begun.checksum) IS DISTINCT FROM (read_rows, read_checksum) THEN
        RETURN false;
    END IF;

    UPDATE entasis.archives AS a SET superseded_at = clock_timestamp()
    WHERE a.relation = begun.relation AND a.from_time = begun.from_time
        AND a.to_time = begun.to_time
        AND a.verified_at IS NOT NULL AND a.superseded_at IS NULL;
    UPDATE entasis.archives AS a SET verified_at = clock_timestamp() WHERE a.id = begun.id;
    INSERT INTO entasis.archive_objects (archive_id, part, key, bytes, row_count, sha256)
    SELECT begun.id, o.part, o.key, o.bytes, o.row_count, o.sha256
    FROM jsonb_to_recordset(archive_verified.objects) AS o (
        part integer, key text, bytes bigint, row_count bigint, sha256 text
    );
    INSERT INTO entasis.maintenance_log (action, relation, detail)
    VALUES ('archive', begun.relation,
        format('[%s, %s) version %s', begun.from_time, begun.to_time, begun.version));
    RETURN true;
END
$$;

COMMENT ON FUNCTION entasis_internal.archive_verified IS
'Marks an archive as verified, and an earlier one of its range as superseded, if the row count and checksum read back from the store equal those that archive_counted() recorded of the rows in the database. Otherwise records nothing and returns false.';
