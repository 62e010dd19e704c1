-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.delete_expired_rows()
LANGUAGE plpgsql
AS $$
DECLARE
    kept pg_catalog.record;
    deleted bigint;
    total bigint;
BEGIN
    FOR kept IN
        SELECT k.relation FROM entasis.keep_periods AS k
        WHERE k.keep IS NOT NULL AND NOT k.archived
    LOOP
        total := 0;
        LOOP
            deleted := entasis_internal.delete_rows_before(kept.relation, 10000);
            COMMIT;
            total := total OPERATOR(pg_catalog.+) deleted;
            EXIT WHEN deleted OPERATOR(pg_catalog.=) 0;
        END LOOP;
        IF total OPERATOR(pg_catalog.>) 0 THEN
            RAISE NOTICE 'deleted % rows of % that were past its keep period', total, kept.relation;
        END IF;
    END LOOP;
END
$$;

COMMENT ON PROCEDURE entasis_internal.delete_expired_rows IS
'Deletes the rows that are past the keep period of relations without partitions, unless those are marked as archived. Commits after every 10,000 rows.';
