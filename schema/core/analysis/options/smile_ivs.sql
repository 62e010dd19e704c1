-- Three points of each expiry's smile, by linear interpolation between the two quotes that bracket each: at moneyness 1, and
-- at the deltas of a call and of a put. Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis_internal.smile_ivs(
    underlying_name text, at_time timestamptz, max_age interval, wing_delta numeric
) RETURNS TABLE (
    expiry_date timestamptz, years numeric, atm_iv numeric, call_iv numeric, put_iv numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
BEGIN ATOMIC
    WITH quotes AS (
        SELECT
            s.expiry_date,
            s.strike_price,
            s.option_type,
            s.iv,
            s.moneyness,
            s.delta,
            row_number() OVER (
                PARTITION BY s.expiry_date, s.strike_price
                -- what is out of the money by its own price comes first: a call from moneyness 1 on, a put below
                ORDER BY
                    (s.option_type = 'call') = (s.moneyness >= 1) DESC NULLS LAST,
                    s.timestamp DESC, s.id DESC, s.option_type ASC
            ) AS place
        FROM
            entasis.iv_smile(
                smile_ivs.underlying_name,
                smile_ivs.at_time + interval '1 microsecond',
                'infinity',
                smile_ivs.at_time,
                smile_ivs.max_age
            ) AS s
        WHERE s.iv > 0
    ),

    points AS (
        SELECT
            p.expiry_date,
            p.point,
            p.target,
            p.x,
            avg(p.iv) AS iv
        FROM (
            SELECT
                q.expiry_date,
                'atm' AS point,
                1::numeric AS target,
                q.moneyness AS x,
                q.iv
            FROM quotes AS q
            WHERE q.place = 1 AND q.moneyness IS NOT NULL
            UNION ALL
            SELECT
                q.expiry_date,
                q.option_type AS point,
                CASE q.option_type WHEN 'call' THEN 1 ELSE -1 END * smile_ivs.wing_delta AS target,
                q.delta AS x,
                q.iv
            FROM quotes AS q
            WHERE
                (q.option_type = 'call' AND q.delta > 0 AND q.delta < 1)
                OR (q.option_type = 'put' AND q.delta < 0 AND q.delta > -1)
        ) AS p
        GROUP BY p.expiry_date, p.point, p.target, p.x
    ),

    brackets AS (
        SELECT
            p.expiry_date,
            p.point,
            p.target,
            max(p.x) FILTER (WHERE p.x <= p.target) AS x_below,
            min(p.x) FILTER (WHERE p.x >= p.target) AS x_above,
            (array_agg(p.iv ORDER BY p.x DESC) FILTER (WHERE p.x <= p.target))[1] AS iv_below,
            (array_agg(p.iv ORDER BY p.x) FILTER (WHERE p.x >= p.target))[1] AS iv_above
        FROM points AS p
        GROUP BY p.expiry_date, p.point, p.target
    ),

    ivs AS (
        SELECT
            b.expiry_date,
            b.point,
            CASE
                WHEN b.x_below = b.x_above THEN b.iv_below
                ELSE
                    b.iv_below
                    + (b.iv_above - b.iv_below) * (b.target - b.x_below) / (b.x_above - b.x_below)
            END AS iv
        FROM brackets AS b
    )

    SELECT
        e.expiry_date,
        extract(EPOCH FROM e.expiry_date - smile_ivs.at_time) / (365 * 86400) AS years,
        max(i.iv) FILTER (WHERE i.point = 'atm') AS atm_iv,
        max(i.iv) FILTER (WHERE i.point = 'call') AS call_iv,
        max(i.iv) FILTER (WHERE i.point = 'put') AS put_iv
    FROM (SELECT DISTINCT q.expiry_date FROM quotes AS q) AS e
    LEFT JOIN ivs AS i ON e.expiry_date = i.expiry_date
    GROUP BY e.expiry_date;
END;

COMMENT ON FUNCTION entasis_internal.smile_ivs IS
'Implied volatility of each expiry at moneyness 1, at a call''s delta of wing_delta and at a put''s of -wing_delta, for iv_term_structure() and risk_reversals(), which say how.';
