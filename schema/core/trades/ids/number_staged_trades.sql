CREATE OR REPLACE FUNCTION entasis_internal.number_staged_trades() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE pg_temp.entasis_staged_trades AS s SET id = entasis.digest_id(s.source_id)
    WHERE s.id IS NULL AND s.source_id IS NOT NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.number_staged_trades IS
'Gives the trades of pg_temp.entasis_staged_trades that have a source_id and no id the digest of the one as the other.';
