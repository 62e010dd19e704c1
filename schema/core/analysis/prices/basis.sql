CREATE OR REPLACE FUNCTION entasis.basis(
    symbol_name text,
    exchange_name text,
    other_symbol_name text,
    other_exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    bucket timestamptz,
    price numeric,
    other_price numeric,
    spread numeric,
    basis numeric,
    traded_at timestamptz,
    other_traded_at timestamptz
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        c.bucket,
        c.close AS price,
        o.close AS other_price,
        c.close - o.close AS spread,
        CASE
            WHEN o.close > 0
                THEN (c.close - o.close + 0.000000000000000000000000) / o.close
        END AS basis,
        c.closed_at AS traded_at,
        o.closed_at AS other_traded_at
    FROM
        entasis.candles(
            basis.symbol_name,
            basis.exchange_name,
            basis.candle_interval,
            basis.from_time,
            basis.to_time
        ) AS c
    INNER JOIN
        entasis.candles(
            basis.other_symbol_name,
            basis.other_exchange_name,
            basis.candle_interval,
            basis.from_time,
            basis.to_time
        ) AS o
        ON c.bucket = o.bucket;
END;

COMMENT ON FUNCTION entasis.basis IS
'Spread and basis between the closes of two markets, as a perpetual (the first) against its spot market (the other), in the buckets of [from_time, to_time) in which both have trades. Columns as in basis_asof(), which has both prices at one moment: here traded_at and other_traded_at may lie a bucket apart. Ordered only if the query says so. Reads only the partitions of the range.';
