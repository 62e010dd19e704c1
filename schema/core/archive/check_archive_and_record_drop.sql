-- Called in the transaction that drops a range, after writers have been locked out of it. It raises
-- integrity_constraint_violation, a class that nothing else here raises: the caller catches it and marks
-- the archive as stale in a transaction of its own, because an error rolls this one back.
CREATE OR REPLACE FUNCTION entasis_internal.check_archive_and_record_drop(
    source_table regclass, relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    archived entasis.archives;
    found_rows bigint;
    found_checksum numeric;
BEGIN
    IF EXISTS (
        SELECT FROM entasis.keep_periods AS k WHERE k.relation = relation_name AND k.archived
    ) THEN
        -- an older snapshot would miss rows that were committed before the lock was granted
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'archived data is dropped in a READ COMMITTED transaction only'
            USING ERRCODE = 'invalid_transaction_state';
        END IF;
        SELECT a.* INTO archived
        FROM entasis.archives AS a
        WHERE a.relation = relation_name
            AND a.from_time = check_archive_and_record_drop.from_time
            AND a.to_time = check_archive_and_record_drop.to_time
            AND a.verified_at IS NOT NULL AND a.superseded_at IS NULL
        FOR UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no verified archive of % from % to % is on record',
                relation_name, from_time, to_time
            USING ERRCODE = 'integrity_constraint_violation', HINT = 'Run: entasis archive';
        END IF;
        SELECT c.row_count, c.checksum INTO found_rows, found_checksum
        FROM entasis_internal.count_and_checksum(
            source_table, relation_name,
            check_archive_and_record_drop.from_time, check_archive_and_record_drop.to_time
        ) AS c;
        IF (found_rows, found_checksum) IS DISTINCT FROM (archived.row_count, archived.checksum) THEN
            RAISE EXCEPTION '% from % to % differs from its archive (% rows, % archived)',
                relation_name, from_time, to_time, found_rows, archived.row_count
            USING ERRCODE = 'integrity_constraint_violation', HINT = 'Run: entasis archive';
        END IF;
        UPDATE entasis.archives AS a SET dropped_at = clock_timestamp() WHERE a.id = archived.id;
    ELSE
        DELETE FROM entasis_internal.known_partitions AS s
        WHERE s.relation = relation_name
            AND s.from_time = check_archive_and_record_drop.from_time
            AND s.to_time = check_archive_and_record_drop.to_time;
    END IF;
    PERFORM entasis_internal.close_reopened(
        relation_name,
        check_archive_and_record_drop.from_time, check_archive_and_record_drop.to_time
    );
    -- a restored table is dropped with its range
    DELETE FROM entasis.restores AS r
    WHERE r.relation = relation_name
        AND r.from_time = check_archive_and_record_drop.from_time
        AND r.to_time = check_archive_and_record_drop.to_time
        AND r.attached_at IS NOT NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.check_archive_and_record_drop IS
'Records that this transaction drops a range of a relation, whose rows are in source_table. Raises integrity_constraint_violation if the relation is archived and no verified archive holds exactly these rows. The caller must have locked writers out.';
