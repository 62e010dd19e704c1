-- count_and_checksum() keeps its subquery apart by OFFSET, for which Citus would bring all rows here. Without it, each node sums up its own.
DO $without_offset$
DECLARE
    made CONSTANT text := pg_get_functiondef('entasis_internal.count_and_checksum'::regproc);
    barrier CONSTANT text := $text$ OFFSET ''0''$text$;
BEGIN
    IF strpos(made, barrier) = 0 THEN
        RAISE EXCEPTION 'count_and_checksum() has another text than sum_on_nodes.sql knows';
    END IF;
    EXECUTE replace(made, barrier, '');
END
$without_offset$;
