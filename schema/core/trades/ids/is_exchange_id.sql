-- Inlined where it is called.
CREATE OR REPLACE FUNCTION entasis_internal.is_exchange_id(id_space text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN coalesce(id_space IN ('trade', 'aggtrade', 'trade_seq', 'sequence'), true);

COMMENT ON FUNCTION entasis_internal.is_exchange_id IS
'Whether the ids of an id space of entasis.markets are the exchange''s own, so that one id is one trade of the market, whatever its time. NULL, which is not known, is taken for such.';
