-- Without settings, so that it is inlined, and each moment is a look-up in the partitions of its own range.
CREATE OR REPLACE FUNCTION entasis.prices_asof(
    symbol_name text,
    exchange_name text,
    moments timestamptz[],
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (
    number bigint,
    moment timestamptz,
    price numeric,
    traded_at timestamptz,
    trade_id bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    SELECT
        m.number,
        m.moment,
        t.price,
        t.traded_at,
        t.trade_id
    FROM unnest(prices_asof.moments) WITH ORDINALITY AS m (moment, number)
    LEFT JOIN LATERAL entasis_internal.trade_asof(
        prices_asof.symbol_name, prices_asof.exchange_name, m.moment, prices_asof.max_age
    ) AS t ON true;
END;

COMMENT ON FUNCTION entasis.prices_asof IS
'The price of one market at each of many moments: one row a moment, also for those that are given twice, and number, from 1, says which. price is that of the last trade by (timestamp, id) that was made in (moment - max_age, moment], in quote units; traded_at and trade_id are its own. A trade at the very moment counts, a later one never; those that candles do not count (excluded) do not either. All three are NULL where there is no such trade, where it is not known because its time was dropped, and for a moment that is NULL, infinite or still to come. Lengths are of UTC''s own clock. Ordered only if the query says so.';
