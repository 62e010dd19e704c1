-- Contracts are found by jumping on the key's index from one to the next. Whole calendar months bound these jumps: that
-- rules out the same partitions as the exact times would, and no entry of a partition that remains fails it, whereas an
-- exact bound would be tried on every older quote on the way.
-- Without settings, so that it is inlined, and partitions are ruled out by the caller's values. Arithmetic is on UTC's own
-- clock: in a zone with summer time a day may have 23 or 25 hours.
CREATE OR REPLACE FUNCTION entasis_internal.option_contracts(
    underlying_name text,
    expiry_from timestamptz,
    expiry_to timestamptz,
    at_time timestamptz,
    max_age interval
) RETURNS TABLE (expiry_date timestamptz, strike_price numeric, option_type varchar)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    WITH RECURSIVE contracts AS (
        (
            SELECT
                o.expiry_date,
                o.strike_price,
                o.option_type
            FROM entasis.option_data AS o
            WHERE
                o.underlying = option_contracts.underlying_name
                AND o.expiry_date >= option_contracts.expiry_from
                AND o.expiry_date < option_contracts.expiry_to
                AND o.timestamp >= date_trunc(
                    'month',
                    option_contracts.at_time AT TIME ZONE 'UTC' - option_contracts.max_age
                ) AT TIME ZONE 'UTC'
                AND o.timestamp < (
                    date_trunc('month', option_contracts.at_time AT TIME ZONE 'UTC')
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
            FROM entasis.option_data AS o
            WHERE
                o.underlying = option_contracts.underlying_name
                AND (o.expiry_date, o.strike_price, o.option_type)
                > (c.expiry_date, c.strike_price, c.option_type)
                AND o.expiry_date < option_contracts.expiry_to
                AND o.timestamp >= date_trunc(
                    'month',
                    option_contracts.at_time AT TIME ZONE 'UTC' - option_contracts.max_age
                ) AT TIME ZONE 'UTC'
                AND o.timestamp < (
                    date_trunc('month', option_contracts.at_time AT TIME ZONE 'UTC')
                    + interval '1 month'
                ) AT TIME ZONE 'UTC'
            ORDER BY o.expiry_date, o.strike_price, o.option_type
            LIMIT 1
        ) AS n
    )

    SELECT
        c.expiry_date,
        c.strike_price,
        c.option_type
    FROM contracts AS c;
END;

COMMENT ON FUNCTION entasis_internal.option_contracts IS
'Contracts of an underlying that expire in [expiry_from, expiry_to) and have a quote in the calendar months, in UTC, that (at_time - max_age, at_time] lies in: a superset of those that are quoted in that span.';
