-- An array compares element by element, so that min() and max() find the first and the last trade in one
-- pass and without a sort. It has no settings, so that it is inlined, and is STABLE like extract(), or
-- it would not be. The continuous aggregates of engine timescaledb write the array out: see ohlcv_1m.
CREATE OR REPLACE FUNCTION entasis_internal.trade_order(
    traded_at timestamptz, trade_id bigint, price numeric
) RETURNS numeric[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN ARRAY[extract(EPOCH FROM traded_at), trade_id, price];

COMMENT ON FUNCTION entasis_internal.trade_order IS
'What trades of one market are ordered by: {seconds since 1970, id, price}. The third element of the smallest is the opening price, of the largest the closing price, and the second its trade''s id.';
