CREATE OR REPLACE FUNCTION entasis_internal.refuse_below_floor(
    relation_name text, earliest timestamptz
) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lowest timestamptz;
BEGIN
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = relation_name;
    IF earliest < lowest THEN
        RAISE EXCEPTION '% is past its keep period: its data before % was dropped, and this statement touches %',
            relation_name, lowest, earliest
        USING ERRCODE = 'check_violation',
            CONSTRAINT = relation_name || '_floor',
            HINT = 'Writing there would recompute candles from trades that are gone. History comes back only by a restore.';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_below_floor IS
'Raises check_violation (constraint <relation>_floor) if earliest lies below the floor of the relation. NULL passes.';
