CREATE OR REPLACE FUNCTION entasis_internal.health_quarantine() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'quarantined', q.relation || ' ' || q.code, count(*)::numeric, min(q.quarantined_at)
    FROM entasis.quarantine AS q
    WHERE q.quarantined_at >= now() - interval '24 hours'
    GROUP BY q.relation, q.code;
    RETURN QUERY
    SELECT 'anomalies_undecided', a.relation || ' ' || a.kind, count(*)::numeric, min(a.found_at)
    FROM entasis.anomalies AS a
    -- refused rows are counted above
    WHERE a.state = 'new' AND a.kind <> 'refused'
    GROUP BY a.relation, a.kind;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_quarantine IS
'For entasis.health: rows that were refused in the last day, by relation and reason, and anomalies that nobody has decided about, by relation and kind.';
