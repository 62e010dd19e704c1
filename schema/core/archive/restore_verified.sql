CREATE OR REPLACE FUNCTION entasis_internal.restore_verified(
    table_name name, read_rows bigint, read_checksum numeric
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    begun entasis.restores;
    found_rows bigint;
    found_checksum numeric;
BEGIN
    SELECT r.* INTO begun FROM entasis.restores AS r
    WHERE r.table_name = restore_verified.table_name AND r.verified_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no restore into % is waiting for verification', table_name
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- read-only from here on
    EXECUTE format('REVOKE INSERT ON entasis.%I FROM entasis_admin', table_name);
    EXECUTE format('LOCK TABLE entasis.%I IN SHARE MODE', table_name);
    SELECT c.row_count, c.checksum INTO found_rows, found_checksum
    FROM entasis_internal.count_and_checksum(
        to_regclass(format('entasis.%I', restore_verified.table_name)),
        begun.relation, begun.from_time, begun.to_time
    ) AS c;
    IF (found_rows, found_checksum) IS DISTINCT FROM (read_rows, read_checksum) THEN
        RETURN false;
    END IF;
    EXECUTE format('GRANT SELECT ON entasis.%I TO entasis_reader', table_name);
    UPDATE entasis.restores AS r SET
        verified_at = clock_timestamp(), row_count = read_rows, checksum = read_checksum
    WHERE r.table_name = restore_verified.table_name;
    RETURN true;
END
$$;

COMMENT ON FUNCTION entasis_internal.restore_verified IS
'Marks a restored table as verified and grants it to readers, if its row count and checksum are those given. Otherwise returns false.';
