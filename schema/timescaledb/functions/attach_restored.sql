-- A chunk cannot be attached, and inserting below the floor would have the candles computed anew from
-- a part of their trades.
CREATE OR REPLACE FUNCTION entasis_internal.attach_restored(restored name, hold interval)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '% stays beside its relation: engine timescaledb cannot attach it, nor hold it for %',
        restored, hold
    USING ERRCODE = 'feature_not_supported',
        HINT = 'Query it together with its relation by UNION ALL.';
END
$$;

COMMENT ON FUNCTION entasis_internal.attach_restored(name, interval) IS
'Refuses: on engine timescaledb, a restored table stays beside its relation.';
