CREATE OR REPLACE FUNCTION entasis_internal.archive_begin(
    relation_name text, from_time timestamptz, to_time timestamptz, location text
) RETURNS entasis.archives
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    begun entasis.archives;
BEGIN
    PERFORM FROM entasis_internal.expired_partitions() AS e
    INNER JOIN entasis.keep_periods AS k ON e.relation = k.relation
    WHERE e.relation = relation_name
        AND e.from_time = archive_begin.from_time
        AND e.to_time = archive_begin.to_time
        AND k.archived;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% has no partition from % to % that is marked as archived and past its keep period',
            relation_name, from_time, to_time
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF EXISTS (
        SELECT FROM entasis.archives AS a
        WHERE a.relation = relation_name
            AND a.from_time = archive_begin.from_time
            AND a.to_time = archive_begin.to_time
            AND a.dropped_at IS NOT NULL AND a.superseded_at IS NULL
    ) THEN
        RAISE EXCEPTION '% from % to % was archived and dropped, and has been restored: its archive is not replaced',
            relation_name, from_time, to_time
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'What differs from the archive there was written past the floor: find out by whom.';
    END IF;
    INSERT INTO entasis.archives (relation, from_time, to_time, location)
    VALUES (relation_name, from_time, to_time, location)
    RETURNING * INTO begun;
    RETURN begun;
END
$$;

COMMENT ON FUNCTION entasis_internal.archive_begin IS
'Records that a range is about to be archived, before its first object is written, so that what an interrupted run leaves in the store can be found by its row.';
