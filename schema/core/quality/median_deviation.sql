CREATE OR REPLACE FUNCTION entasis_internal.median_deviation(numbers numeric[], centre numeric)
RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT entasis_internal.median(array_agg(abs(u.number - median_deviation.centre)))
    FROM unnest(median_deviation.numbers) AS u (number);
END;

COMMENT ON FUNCTION entasis_internal.median_deviation IS
'The median of how far the numbers are from a centre (MAD, where that is their median); exact.';
