-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.risk_reversals(
    underlying_name text,
    at_time timestamptz DEFAULT now(),
    max_age interval DEFAULT interval '1 day',
    wing_delta numeric DEFAULT 0.25
) RETURNS TABLE (
    expiry_date timestamptz,
    years numeric,
    call_iv numeric,
    put_iv numeric,
    atm_iv numeric,
    risk_reversal numeric,
    butterfly numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
BEGIN ATOMIC
    SELECT
        s.expiry_date,
        s.years,
        s.call_iv,
        s.put_iv,
        s.atm_iv,
        s.call_iv - s.put_iv AS risk_reversal,
        (s.call_iv + s.put_iv) / 2 - s.atm_iv AS butterfly
    FROM
        entasis_internal.smile_ivs(
            risk_reversals.underlying_name,
            risk_reversals.at_time,
            risk_reversals.max_age,
            risk_reversals.wing_delta
        ) AS s;
END;

COMMENT ON FUNCTION entasis.risk_reversals IS
'Risk reversal and butterfly of each expiry of an underlying, as known at one moment; rows as of iv_term_structure(). call_iv is the implied volatility at a call''s delta of wing_delta, put_iv that at a put''s of -wing_delta, each linear in delta between the two quotes of that type whose deltas bracket it; quotes of one delta count with their mean, and those whose delta is missing or not within (0, 1), or (-1, 0) for a put, with nothing. Deltas are as the source states them. risk_reversal is call_iv - put_iv, butterfly (call_iv + put_iv) / 2 - atm_iv; all are fractions per year. NULL where no quotes bracket the delta, or moneyness 1: nothing is extrapolated. Quotients are rounded half away from zero to at least 16 significant digits. Ordered only if the query says so.';
