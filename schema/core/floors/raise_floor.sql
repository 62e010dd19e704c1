CREATE OR REPLACE FUNCTION entasis_internal.raise_floor(
    relation_name text, new_floor timestamptz
) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- Trades below a dropped candle cannot be counted in it any more: the floor of a derived relation is a
    -- floor of its source too.
    UPDATE entasis.floors SET
        floor = new_floor,
        raised_at = clock_timestamp()
    WHERE
        floor < new_floor
        AND (
            relation = relation_name
            OR relation = (
                SELECT k.derived_from FROM entasis.keep_periods AS k
                WHERE k.relation = relation_name
            )
        );
    -- which markets had rows there is not known
    SELECT entasis.flush_caches();
END;

COMMENT ON FUNCTION entasis_internal.raise_floor IS
'Raises the floor of a relation, and of the one that it is derived from, to new_floor, and flushes caches. Never lowers a floor.';
