-- Queries call it in a scalar subquery, as candles_known_from().
CREATE OR REPLACE FUNCTION entasis_internal.trades_kept_from() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT f.floor FROM entasis.floors AS f
    WHERE f.relation = 'market_data';
END;

COMMENT ON FUNCTION entasis_internal.trades_kept_from IS
'The floor of market_data. Trades below it have been dropped, but for what was restored or reopened.';
