CREATE OR REPLACE FUNCTION entasis_internal.sequences_used()
RETURNS TABLE (subject text, value numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT
        format('%I.%I', s.schemaname, s.sequencename),
        round(100.0 * coalesce(s.last_value, 0) / s.max_value, 2)
    FROM pg_sequences AS s
    WHERE s.schemaname IN ('entasis', 'entasis_internal') AND s.increment_by > 0 AND NOT s.cycle;
END
$$;

COMMENT ON FUNCTION entasis_internal.sequences_used IS
'How many percent of its values each sequence of Entasis DB has given: only who may use one sees how far it is.';
