-- Queries call it in a scalar subquery, so that it is evaluated once and not for each candle.
CREATE OR REPLACE FUNCTION entasis_internal.candles_known_from(
    candle_interval entasis.candle_interval
) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT f.floor
    FROM entasis.floors AS f
    WHERE f.relation = entasis_internal.stored_level(candles_known_from.candle_interval);
END;

COMMENT ON FUNCTION entasis_internal.candles_known_from IS
'The floor of the stored relation that candles of an interval come from. A bucket that starts at or after it is known whole; for one that starts below it, ask is_known_below_floor().';
