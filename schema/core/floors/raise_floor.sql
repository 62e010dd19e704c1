CREATE OR REPLACE FUNCTION entasis_internal.raise_floor(
    relation_name text, new_floor timestamptz
) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    -- Trades below a dropped candle could never be counted right again: the floor of the candles is
    -- a floor of the trades too.
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
    -- a cache does not know which markets had something there
    SELECT entasis.flush_caches();
END;

COMMENT ON FUNCTION entasis_internal.raise_floor IS
'Raises the floor of a relation to the time given; never lowers it. What is below is gone: caches are told.';
