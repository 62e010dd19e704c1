CREATE OR REPLACE FUNCTION entasis_internal.close_reopened(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH closed AS (
        DELETE FROM entasis.reopened AS r
        WHERE r.relation = relation_name
            AND r.from_time < close_reopened.to_time AND r.to_time > close_reopened.from_time
        RETURNING r.*
    )
    INSERT INTO entasis.reopened AS r (
        relation, symbol, exchange, from_time, to_time, keep_until, opened_at
    )
    SELECT c.relation, c.symbol, c.exchange, p.from_time, p.to_time, c.keep_until, c.opened_at
    FROM closed AS c
    CROSS JOIN LATERAL (VALUES
        (c.from_time, close_reopened.from_time), (close_reopened.to_time, c.to_time)
    ) AS p (from_time, to_time)
    WHERE p.from_time < p.to_time
    ON CONFLICT ON CONSTRAINT reopened_once DO UPDATE
        SET keep_until = greatest(r.keep_until, excluded.keep_until);
END
$$;

COMMENT ON FUNCTION entasis_internal.close_reopened IS
'Closes [from_time, to_time) of a relation for writers again; what was reopened before and after it stays open.';
