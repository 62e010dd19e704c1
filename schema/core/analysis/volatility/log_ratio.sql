-- Division and ln() keep the decimals that their arguments have. Of the two quotients the one above 1 is taken: that below
-- would lose the digits that its zeros take.
CREATE OR REPLACE FUNCTION entasis_internal.log_ratio(price numeric, base numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN base > 0 AND price >= base
        THEN round(ln((price + 0.000000000000000000000000000000) / base), 24)
    WHEN price > 0 AND base > price
        THEN -round(ln((base + 0.000000000000000000000000000000) / price), 24)
END;

COMMENT ON FUNCTION entasis_internal.log_ratio IS
'Natural logarithm of price / base, to 24 decimals. NULL where one of them is NULL or not above 0, where there is none.';
