CREATE OR REPLACE FUNCTION entasis_internal.stored_greek(
    value numeric, lowest numeric, highest numeric
) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN
        abs(value) < highest
        AND abs(entasis_internal.round_half_even(value, 18)) < highest
        AND (lowest IS NULL OR entasis_internal.round_half_even(value, 18) >= lowest)
        THEN entasis_internal.round_half_even(value, 18)
END;

COMMENT ON FUNCTION entasis_internal.stored_greek IS
'What option_data stores for a volatility or a greek: the value rounded half to even to 18 decimals. NULL if the value is NaN or infinite, or if what is rounded is below lowest (NULL: it has no lowest value), or not between -highest and highest.';
