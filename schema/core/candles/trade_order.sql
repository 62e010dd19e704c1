-- Arrays compare element by element, so that min() and max() find the first and the last trade in one pass,
-- without a sort. To be inlined, it has no settings and is STABLE, as extract() is. The continuous
-- aggregates of engine timescaledb do not use it: see ohlcv_1m.
CREATE OR REPLACE FUNCTION entasis_internal.trade_order(
    traded_at timestamptz, trade_id bigint, price numeric
) RETURNS numeric[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN ARRAY[extract(EPOCH FROM traded_at), trade_id, price];

COMMENT ON FUNCTION entasis_internal.trade_order IS
'{seconds since 1970, id, price} of a trade. min() and max() of it give the first and the last trade of a market: element 3 is its price, element 2 its id.';
