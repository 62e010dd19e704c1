CREATE OR REPLACE FUNCTION entasis_internal.is_reopened(
    relation_name text, symbol_name text, exchange_name text, at_time timestamptz
) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT count(*) > 0
    FROM entasis.reopened AS r
    WHERE
        r.relation = is_reopened.relation_name
        AND (
            r.symbol IS NULL
            OR (
                r.symbol = is_reopened.symbol_name
                AND r.exchange IS NOT DISTINCT FROM is_reopened.exchange_name
            )
        )
        AND r.from_time <= is_reopened.at_time
        AND r.to_time > is_reopened.at_time
        AND r.opened_at IS NOT NULL;
END;

COMMENT ON FUNCTION entasis_internal.is_reopened IS
'Whether a row of that market and time may be written although it lies below the floor. For option_data, symbol_name is the underlying, and exchange_name is NULL.';
