CREATE OR REPLACE FUNCTION entasis_internal.reopen_market_day(
    symbol_name text, exchange_name text, from_day timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- which Citus cannot send anywhere: see rebuild_market_day()
    IF num_nulls(symbol_name, exchange_name, from_day) > 0 THEN
        RAISE EXCEPTION 'a market day has a symbol, an exchange and a time'
        USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM FROM entasis.reopened AS r
    WHERE r.relation = 'market_data' AND r.from_time <= from_day AND r.to_time > from_day
        AND (r.symbol IS NULL OR (r.symbol = symbol_name AND r.exchange = exchange_name));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the day % of % % is not being reopened', from_day, exchange_name, symbol_name
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- a statement of its own, planned with its values, which Citus sends to the node that has the symbol
    EXECUTE 'SELECT FROM entasis_internal.recompute_market_day($1, $2, $3) AS r'
    USING symbol_name, exchange_name, from_day;
END
$$;

COMMENT ON FUNCTION entasis_internal.reopen_market_day IS
'Computes the candles of a UTC day of a market below the floor that is being reopened from its stored trades, all of which are known to be there.';
