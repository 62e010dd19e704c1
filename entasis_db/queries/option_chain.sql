-- The newest quote in (at - max_age, at] of every contract that has not expired at that moment.
-- Contracts are found by jumping on the key's index from one to the next. Whole calendar months bound
-- these jumps: that rules out the same partitions as the exact times would, and no entry of a partition
-- that remains fails it, whereas an exact bound would be tried on every older quote on the way.
-- Arithmetic is on UTC's own clock: in a zone with summer time a day may have 23 or 25 hours.
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
    q.underlying,
    q.strike_price,
    q.expiry_date,
    q.option_type,
    q.timestamp,
    q.id,
    q.iv,
    q.delta,
    q.gamma,
    q.theta,
    q.vega,
    q.bid_price,
    q.ask_price,
    q.mark_price,
    q.bid_iv,
    q.ask_iv,
    q.underlying_price,
    q.open_interest,
    q.rho
FROM contracts AS c
CROSS JOIN
    LATERAL (
        SELECT o.*
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
        ORDER BY o.timestamp DESC, o.id DESC
        LIMIT 1
    ) AS q
ORDER BY q.expiry_date, q.strike_price, q.option_type;
