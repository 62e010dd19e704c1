-- Asked from a row of the underlying, so that the node that has it does all of it. (Citus sends a function to a node by its argument, too,
-- but not after an error in the session.)
CREATE OR REPLACE FUNCTION entasis_internal.newest_quotes(
    underlying_name text,
    expiry_from timestamptz,
    expiry_to timestamptz,
    at_time timestamptz,
    max_age interval,
    known text DEFAULT NULL
) RETURNS SETOF entasis.option_data
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT q.*
    FROM (
        SELECT o.underlying FROM entasis.option_data AS o
        WHERE o.underlying = underlying_name
        LIMIT 1
    ) AS u
    CROSS JOIN LATERAL entasis_internal.newest_quotes_of_shard(
        u.underlying, expiry_from, expiry_to, at_time, max_age, known
    ) AS q;
END
$$;

COMMENT ON FUNCTION entasis_internal.newest_quotes IS
'The newest quote of every contract of an underlying that expires in [expiry_from, expiry_to), of those that were made in (at_time - max_age, at_time], and that have the column known, iv or open_interest (NULL: of all).';
