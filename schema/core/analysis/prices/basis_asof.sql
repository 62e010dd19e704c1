CREATE OR REPLACE FUNCTION entasis.basis_asof(
    symbol_name text,
    exchange_name text,
    other_symbol_name text,
    other_exchange_name text,
    moments timestamptz[],
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (
    number bigint,
    moment timestamptz,
    price numeric,
    other_price numeric,
    spread numeric,
    basis numeric,
    traded_at timestamptz,
    other_traded_at timestamptz
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    SELECT
        m.number,
        m.moment,
        a.price,
        b.price AS other_price,
        a.price - b.price AS spread,
        CASE
            WHEN b.price > 0
                THEN (a.price - b.price + 0.000000000000000000000000) / b.price
        END AS basis,
        a.traded_at,
        b.traded_at AS other_traded_at
    FROM unnest(basis_asof.moments) WITH ORDINALITY AS m (moment, number)
    LEFT JOIN LATERAL entasis_internal.trade_asof(
        basis_asof.symbol_name, basis_asof.exchange_name, m.moment, basis_asof.max_age
    ) AS a ON true
    LEFT JOIN LATERAL entasis_internal.trade_asof(
        basis_asof.other_symbol_name, basis_asof.other_exchange_name, m.moment, basis_asof.max_age
    ) AS b ON true;
END;

COMMENT ON FUNCTION entasis.basis_asof IS
'Spread and basis between two markets at each of many moments, as a perpetual (the first) against its spot market (the other): prices as prices_asof() tells them, in quote units; spread is price - other_price; basis is spread / other_price, a fraction to at least 24 decimals, NULL where other_price is not above 0. NULL where a price is. traded_at and other_traded_at say when the two trades were made, which may be far apart. Ordered only if the query says so.';
