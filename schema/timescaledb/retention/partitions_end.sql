CREATE OR REPLACE FUNCTION entasis_internal.partitions_end()
RETURNS TABLE (relation text, to_time timestamptz)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT
        NULL::text,
        NULL::timestamptz
    WHERE FALSE;
END;

COMMENT ON FUNCTION entasis_internal.partitions_end IS
'No rows: chunks are made when rows come.';
