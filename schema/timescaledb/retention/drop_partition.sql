-- The chunk is locked against writers until the commit, and its candles are compared with its trades once
-- more, so that every dropped trade is counted in its candles.
CREATE OR REPLACE FUNCTION entasis_internal.drop_partition(relation_name text, partition_name name)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
    expired record;
BEGIN
    SELECT * INTO expired
    FROM entasis_internal.droppable_partition(relation_name, drop_partition.partition_name);

    -- not SHARE: two sessions could hold it, and their drops would then deadlock
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', expired.partition_table);
    IF relation_name = 'market_data' THEN
        IF NOT entasis_internal.candles_are_materialized(expired.from_time, expired.to_time)
            OR EXISTS (
                SELECT FROM entasis.reopened AS r
                CROSS JOIN LATERAL entasis_internal.candle_faults(
                    r.symbol, r.exchange,
                    greatest(r.from_time, expired.from_time), least(r.to_time, expired.to_time)
                ) AS f
                WHERE r.relation = 'market_data'
                    AND r.from_time < expired.to_time AND r.to_time > expired.from_time
            )
        THEN
            RAISE EXCEPTION 'candles of % are not up to date', partition_name
            USING ERRCODE = 'EN001',
                HINT = 'CALL entasis.refresh_candles(from_time, to_time) brings them up to date.';
        END IF;
    END IF;

    -- an empty chunk that a forced refresh created (see attach_partition()): its range was dropped before
    PERFORM FROM entasis.floors AS f
    WHERE f.relation = relation_name AND expired.to_time <= f.floor
        AND NOT entasis_internal.has_rows(relation_name, expired.from_time, expired.to_time)
        AND NOT EXISTS (
            SELECT FROM entasis.restores AS r
            WHERE r.relation = relation_name AND r.from_time = expired.from_time
                AND r.to_time = expired.to_time AND r.attached_at IS NOT NULL
        );
    IF NOT FOUND THEN
        PERFORM entasis_internal.check_archive_and_record_drop(
            to_regclass(format('entasis.%I', relation_name)),
            relation_name, expired.from_time, expired.to_time
        );
    END IF;
    PERFORM public.drop_chunks(
        format('entasis.%I', relation_name)::regclass,
        older_than => expired.to_time,
        newer_than => expired.from_time
    );
    PERFORM entasis_internal.raise_floor(relation_name, expired.to_time);
    INSERT INTO entasis.maintenance_log (action, relation, detail)
    VALUES (
        'drop', relation_name,
        format('%s [%s, %s)', drop_partition.partition_name, expired.from_time, expired.to_time)
    );
END
$$;

COMMENT ON FUNCTION entasis_internal.drop_partition IS
'Drops a chunk that is past its keep period and not kept for another reason, and raises the floor in the same transaction. Raises integrity_constraint_violation if the relation is archived and no archive holds exactly these rows, EN001 if its candles are not up to date, EN002 if an older chunk is still there, lock_not_available if the chunk is in use for longer than 2 s.';
