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
            o.underlying = %(underlying)s::text
            AND o.expiry_date > %(at)s::timestamptz
            AND o.timestamp >= date_trunc(
                'month', %(at)s::timestamptz AT TIME ZONE 'UTC' - %(max_age)s::interval
            ) AT TIME ZONE 'UTC'
            AND o.timestamp < (
                date_trunc('month', %(at)s::timestamptz AT TIME ZONE 'UTC') + interval '1 month'
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
            o.underlying = %(underlying)s::text
            AND (o.expiry_date, o.strike_price, o.option_type)
            > (c.expiry_date, c.strike_price, c.option_type)
            AND o.timestamp >= date_trunc(
                'month', %(at)s::timestamptz AT TIME ZONE 'UTC' - %(max_age)s::interval
            ) AT TIME ZONE 'UTC'
            AND o.timestamp < (
                date_trunc('month', %(at)s::timestamptz AT TIME ZONE 'UTC') + interval '1 month'
            ) AT TIME ZONE 'UTC'
        ORDER BY o.expiry_date, o.strike_price, o.option_type
        LIMIT 1
    ) AS n
)

SELECT
    c.expiry_date,
    count(*) AS contracts,
    max(q.timestamp) AS last_quote
FROM contracts AS c
CROSS JOIN
    LATERAL (
        SELECT o.timestamp
        FROM entasis.option_data AS o
        WHERE
            o.underlying = %(underlying)s::text
            AND o.expiry_date = c.expiry_date
            AND o.strike_price = c.strike_price
            AND o.option_type = c.option_type
            AND o.timestamp
            > (%(at)s::timestamptz AT TIME ZONE 'UTC' - %(max_age)s::interval) AT TIME ZONE 'UTC'
            AND o.timestamp <= %(at)s::timestamptz
        ORDER BY o.timestamp DESC
        LIMIT 1
    ) AS q
GROUP BY c.expiry_date
ORDER BY c.expiry_date;
