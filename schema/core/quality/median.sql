-- percentile_cont() computes in floats; this is exact, and the same everywhere
CREATE OR REPLACE FUNCTION entasis_internal.median(numbers numeric[]) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT (min(n.number) + max(n.number)) * 0.5
    FROM (
        SELECT
            u.number,
            row_number() OVER (ORDER BY u.number) AS place
        FROM unnest(median.numbers) AS u (number)
    ) AS n
    WHERE
        n.place IN ((cardinality(median.numbers) + 1) / 2, (cardinality(median.numbers) + 2) / 2);
END;

COMMENT ON FUNCTION entasis_internal.median IS
'The number in the middle, or half way between the two in the middle; exact. NULL: there is none.';
