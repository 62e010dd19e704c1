-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.iv_term_structure(
    underlying_name text,
    at_time timestamptz DEFAULT now(),
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (expiry_date timestamptz, years numeric, atm_iv numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
BEGIN ATOMIC
    SELECT
        s.expiry_date,
        s.years,
        s.atm_iv
    FROM
        entasis_internal.smile_ivs(
            iv_term_structure.underlying_name,
            iv_term_structure.at_time,
            iv_term_structure.max_age,
            0.25
        ) AS s;
END;

COMMENT ON FUNCTION entasis.iv_term_structure IS
'The implied volatility at the money of each expiry of an underlying, as known at one moment: a row for each expiry after at_time that has a quote with an implied volatility above 0 in (at_time - max_age, at_time]. years is the time to it, in years of 365 days. atm_iv, a fraction per year, is that at moneyness 1, linear in moneyness between the nearest strike at or below and the nearest at or above. A strike''s moneyness and volatility are those of its newest quote that is out of the money (a call from moneyness 1 on, a put below), else of its newest; several of one moneyness count with their mean. NULL where no quotes bracket moneyness 1: nothing is extrapolated. Quotients are rounded half away from zero to at least 16 significant digits. Lengths are of UTC''s own clock. It takes as many index look-ups as iv_smile(). Ordered only if the query says so.';
