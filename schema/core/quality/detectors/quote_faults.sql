-- Each by itself, but for the unit of prices: what an underlying's quotes in the money are above tells whether they are in
-- the underlying or in quote units.
CREATE OR REPLACE FUNCTION entasis_internal.quote_faults(from_time timestamptz, to_time timestamptz)
RETURNS TABLE (
    kind text, symbol text, begins_at timestamptz, row_key jsonb,
    observed numeric, expected numeric, detail jsonb
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    -- TimescaleDB cannot subtract from -infinity when it plans
    day_before CONSTANT timestamptz := quote_faults.from_time - interval '1 day';
    delta_most CONSTANT numeric := entasis_internal.anomaly_limit('delta');
    gamma_least CONSTANT numeric := -entasis_internal.anomaly_limit('gamma');
    of_price CONSTANT numeric := entasis_internal.anomaly_limit('intrinsic_of_price');
    per_year CONSTANT numeric := entasis_internal.anomaly_limit('intrinsic_per_year');
BEGIN
    RETURN QUERY
    WITH quotes AS MATERIALIZED (
        SELECT q.*,
            coalesce(nullif(q.ask_price, 0), q.mark_price) AS price,
            CASE
                WHEN q.option_type = 'call' THEN q.underlying_price - q.strike_price
                ELSE q.strike_price - q.underlying_price
            END AS intrinsic
        FROM entasis.option_data AS q
        WHERE q.timestamp >= day_before AND q.timestamp < quote_faults.to_time
    ),
    units AS (
        SELECT q.underlying, count(*) >= 3 AS is_known,
            2 * count(*) FILTER (WHERE q.price < 0.5 * q.intrinsic) > count(*) AS is_coin
        FROM quotes AS q
        WHERE q.intrinsic > 0.05 * q.underlying_price AND q.price IS NOT NULL
        GROUP BY q.underlying
    )
    SELECT f.kind, q.underlying::text, q.timestamp,
        jsonb_build_object(
            'expiry_date', q.expiry_date, 'strike_price', q.strike_price,
            'option_type', q.option_type, 'id', q.id
        ),
        f.observed, f.expected, '{}'::jsonb
    FROM quotes AS q
    LEFT JOIN units AS u ON q.underlying = u.underlying
    CROSS JOIN LATERAL (
        SELECT 'crossed_quote' AS kind, q.ask_price AS observed, q.bid_price AS expected
        WHERE q.ask_price < q.bid_price AND q.ask_price > 0
        UNION ALL
        SELECT 'crossed_quote', q.ask_iv, q.bid_iv
        WHERE q.ask_iv < q.bid_iv AND q.ask_iv > 0
            AND NOT coalesce(q.ask_price < q.bid_price AND q.ask_price > 0, false)
        UNION ALL
        SELECT 'impossible_delta', q.delta, sign(q.delta) WHERE abs(q.delta) > delta_most
        UNION ALL
        SELECT 'negative_gamma', q.gamma, 0 WHERE q.gamma < gamma_least
        UNION ALL
        SELECT 'zero_iv', q.iv, NULL WHERE q.iv = 0
        UNION ALL
        SELECT 'below_intrinsic', q.price, q.intrinsic / p.unit
        FROM (
            SELECT CASE
                WHEN u.is_known AND u.is_coin THEN q.underlying_price
                WHEN u.is_known THEN 1
                -- below it in either unit
                ELSE greatest(q.underlying_price, 1)
            END AS unit
        ) AS p
        WHERE q.intrinsic > 0 AND q.price * p.unit < q.intrinsic - of_price * q.underlying_price
            - per_year * q.strike_price * greatest(extract(EPOCH FROM q.expiry_date - q.timestamp), 0) / 31557600
    ) AS f
    WHERE q.timestamp >= quote_faults.from_time;
END
$$;

COMMENT ON FUNCTION entasis_internal.quote_faults IS
'Quotes of options of [from_time, to_time) that cannot be: ask below bid, a delta beyond 1, a gamma below 0, a volatility of 0, a price below what exercise would give. docs/quality.md has the definitions.';
