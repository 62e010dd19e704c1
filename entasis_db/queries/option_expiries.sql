-- The expiries of an underlying, as known at one moment: those of contracts that were quoted in
-- (at - max_age, at] and have not expired. Contracts are found as in option_chain: by jumping on the key's
-- index within whole calendar months, with arithmetic on UTC's own clock.
WITH RECURSIVE contracts AS (
    (
        SELECT
            o.expiry_date,
            o.strike_price,
            o.option_type
        FROM entasis.option_data AS o
        WHERE
            o.underlying OPERATOR(pg_catalog.=) %(underlying)s::pg_catalog.text
            AND o.expiry_date OPERATOR(pg_catalog.>) %(at)s::pg_catalog.timestamptz
            AND o.timestamp OPERATOR(pg_catalog.>=) pg_catalog.date_trunc(
                'month',
                %(at)s::pg_catalog.timestamptz AT TIME ZONE 'UTC'
                OPERATOR(pg_catalog.-) %(max_age)s::interval
            ) AT TIME ZONE 'UTC'
            AND o.timestamp OPERATOR(pg_catalog.<) (
                pg_catalog.date_trunc(
                    'month', %(at)s::pg_catalog.timestamptz AT TIME ZONE 'UTC'
                ) OPERATOR(pg_catalog.+) interval '1 month'
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
        FROM entasis.option_data AS o
        WHERE
            o.underlying OPERATOR(pg_catalog.=) %(underlying)s::pg_catalog.text
            AND (o.expiry_date, o.strike_price, o.option_type)
            OPERATOR(pg_catalog.>) (c.expiry_date, c.strike_price, c.option_type)
            AND o.timestamp OPERATOR(pg_catalog.>=) pg_catalog.date_trunc(
                'month',
                %(at)s::pg_catalog.timestamptz AT TIME ZONE 'UTC'
                OPERATOR(pg_catalog.-) %(max_age)s::interval
            ) AT TIME ZONE 'UTC'
            AND o.timestamp OPERATOR(pg_catalog.<) (
                pg_catalog.date_trunc(
                    'month', %(at)s::pg_catalog.timestamptz AT TIME ZONE 'UTC'
                ) OPERATOR(pg_catalog.+) interval '1 month'
            ) AT TIME ZONE 'UTC'
        ORDER BY o.expiry_date, o.strike_price, o.option_type
        LIMIT 1
    ) AS n
)

SELECT
    c.expiry_date,
    pg_catalog.count(*) AS contracts,
    pg_catalog.max(q.timestamp) AS last_quote
FROM contracts AS c
CROSS JOIN
    LATERAL (
        SELECT o.timestamp
        FROM entasis.option_data AS o
        WHERE
            o.underlying OPERATOR(pg_catalog.=) %(underlying)s::pg_catalog.text
            AND o.expiry_date OPERATOR(pg_catalog.=) c.expiry_date
            AND o.strike_price OPERATOR(pg_catalog.=) c.strike_price
            AND o.option_type OPERATOR(pg_catalog.=) c.option_type
            AND o.timestamp
            OPERATOR(pg_catalog.>) (
                %(at)s::pg_catalog.timestamptz AT TIME ZONE 'UTC'
                OPERATOR(pg_catalog.-) %(max_age)s::interval
            ) AT TIME ZONE 'UTC'
            AND o.timestamp OPERATOR(pg_catalog.<=) %(at)s::pg_catalog.timestamptz
        ORDER BY o.timestamp DESC
        LIMIT 1
    ) AS q
GROUP BY c.expiry_date
ORDER BY c.expiry_date;
