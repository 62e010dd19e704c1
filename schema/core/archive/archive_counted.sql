-- A statement of its own, so that a client reads back what it wrote while the server counts.
CREATE OR REPLACE FUNCTION entasis_internal.archive_counted(archive_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    begun entasis.archives;
    found_rows bigint;
    found_checksum numeric;
BEGIN
    SELECT a.* INTO begun FROM entasis.archives AS a
    WHERE a.id = archive_counted.archive_id AND a.verified_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no archive % is waiting for verification', archive_counted.archive_id
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT c.row_count, c.checksum INTO found_rows, found_checksum
    FROM entasis_internal.count_and_checksum(
        to_regclass(format('entasis.%I', begun.relation)),
        begun.relation, begun.from_time, begun.to_time
    ) AS c;
    UPDATE entasis.archives AS a SET row_count = found_rows, checksum = found_checksum
    WHERE a.id = begun.id;
END
$$;

COMMENT ON FUNCTION entasis_internal.archive_counted IS
'Records row count and checksum of the rows that the database holds of an archive''s range at this moment: what is read back from the store has to come to the same.';
