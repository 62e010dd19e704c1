-- Citus sends the other function to the node that has the symbol, and its server ends where there is none (14.0.1, with NULL for
-- the column of distribution). So nobody but the owner may call that one.
CREATE OR REPLACE FUNCTION entasis_internal.rebuild_market_day(
    symbol_name text, exchange_name text, at_time timestamptz, forced boolean DEFAULT false
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    minutes integer;
BEGIN
    IF num_nulls(symbol_name, exchange_name, at_time) > 0 THEN
        RAISE EXCEPTION 'a market day has a symbol, an exchange and a time'
        USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- a statement of its own, planned with its values, which Citus sends to the node that has the symbol
    -- (and from FROM: Citus takes SELECT f() for an expression of PL/pgSQL's, after an error in the session too)
    EXECUTE 'SELECT r FROM entasis_internal.rebuild_day_of_shard($1, $2, $3, $4) AS r' INTO minutes
    USING symbol_name, exchange_name, at_time, forced;
    RETURN minutes;
END
$$;

COMMENT ON FUNCTION entasis_internal.rebuild_market_day IS
'Recomputes all candles of one market for the UTC day that contains at_time, and returns the number of minutes that it recomputed. Refuses a day that starts below the floor, and, unless forced, one on which a candle counts more trades than market_data holds.';
