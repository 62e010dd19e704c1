-- round() takes every half away from zero, which shifts the sum of many rounded numbers.
CREATE OR REPLACE FUNCTION entasis_internal.round_half_even(
    number numeric, decimals integer
) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN min_scale(number) <= decimals THEN number
    WHEN mod(abs(number) * power(10::numeric, decimals), 2) = 0.5
        THEN trim_scale(trunc(number, decimals))
    ELSE trim_scale(round(number, decimals))
END;

COMMENT ON FUNCTION entasis_internal.round_half_even IS
'A number with at most so many decimals: the nearest one, of two that are equally near the one with the even last digit. One that fits is returned as it is, NaN and infinities too.';
