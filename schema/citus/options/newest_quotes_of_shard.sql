-- option_contracts() explains how contracts are found.
CREATE OR REPLACE FUNCTION entasis_internal.newest_quotes_of_shard(
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
    RETURN QUERY EXECUTE format(
        $sql$
        WITH RECURSIVE contracts AS (
            (
                SELECT
                    o.expiry_date,
                    o.strike_price,
                    o.option_type
                FROM %1$s AS o
                WHERE
                    o.underlying = $1
                    AND o.expiry_date >= $2
                    AND o.expiry_date < $3
                    AND o.timestamp >= date_trunc(
                        'month',
                        $4 AT TIME ZONE 'UTC' - $5
                    ) AT TIME ZONE 'UTC'
                    AND o.timestamp < (
                        date_trunc('month', $4 AT TIME ZONE 'UTC')
                        + interval '1 month'
                    ) AT TIME ZONE 'UTC'
                ORDER BY o.expiry_date, o.strike_price, o.option_type
                LIMIT 1
            )
            UNION ALL
            SELECT
                n.expiry_date,
                n.strike_price,
                n.option_type
            FROM contracts AS c
            CROSS JOIN LATERAL (
                SELECT
                    o.expiry_date,
                    o.strike_price,
                    o.option_type
                FROM %1$s AS o
                WHERE
                    o.underlying = $1
                    AND (o.expiry_date, o.strike_price, o.option_type)
                    > (c.expiry_date, c.strike_price, c.option_type)
                    AND o.expiry_date < $3
                    AND o.timestamp >= date_trunc(
                        'month',
                        $4 AT TIME ZONE 'UTC' - $5
                    ) AT TIME ZONE 'UTC'
                    AND o.timestamp < (
                        date_trunc('month', $4 AT TIME ZONE 'UTC')
                        + interval '1 month'
                    ) AT TIME ZONE 'UTC'
                ORDER BY o.expiry_date, o.strike_price, o.option_type
                LIMIT 1
            ) AS n
        )

        SELECT q.*
        FROM contracts AS c
        CROSS JOIN LATERAL (
            SELECT o.*
            FROM %1$s AS o
            WHERE
                o.underlying = $1
                AND o.expiry_date = c.expiry_date
                AND o.strike_price = c.strike_price
                AND o.option_type = c.option_type
                AND o.timestamp > ($4 AT TIME ZONE 'UTC' - $5) AT TIME ZONE 'UTC'
                AND o.timestamp <= $4
                AND CASE $6
                    WHEN 'iv' THEN o.iv IS NOT NULL
                    WHEN 'open_interest' THEN o.open_interest IS NOT NULL
                    ELSE true
                END
            ORDER BY o.timestamp DESC, o.id DESC
            LIMIT 1
        ) AS q
        $sql$,
        entasis_internal.shard_of('entasis.option_data', underlying_name)
    ) USING underlying_name, expiry_from, expiry_to, at_time, max_age, known;
END
$$;

COMMENT ON FUNCTION entasis_internal.newest_quotes_of_shard IS
'Does for newest_quotes() all of it, on the node that has the underlying.';
