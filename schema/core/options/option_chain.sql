-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.option_chain(
    underlying_name text,
    at_time timestamptz DEFAULT now(),
    max_age interval DEFAULT interval '1 day'
) RETURNS SETOF entasis.option_data
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    SELECT q.* -- noqa: AM04
    FROM
        entasis_internal.option_contracts(
            option_chain.underlying_name,
            option_chain.at_time + interval '1 microsecond',
            'infinity',
            option_chain.at_time,
            option_chain.max_age
        ) AS c
    CROSS JOIN
        LATERAL (
            SELECT o.*
            FROM entasis.option_data AS o
            WHERE
                o.underlying = option_chain.underlying_name
                AND o.expiry_date = c.expiry_date
                AND o.strike_price = c.strike_price
                AND o.option_type = c.option_type
                AND o.timestamp > (
                    option_chain.at_time AT TIME ZONE 'UTC' - option_chain.max_age
                ) AT TIME ZONE 'UTC'
                AND o.timestamp <= option_chain.at_time
            ORDER BY o.timestamp DESC, o.id DESC
            LIMIT 1
        ) AS q;
END;

COMMENT ON FUNCTION entasis.option_chain IS
'The newest quote of every contract of an underlying, as known at one moment, as rows of option_data: of those that expire after at_time the last, by (timestamp, id), that was made in (at_time - max_age, at_time]. A contract without one has no row. Lengths are of UTC''s own clock. It takes a few index look-ups for each contract of the calendar months that the span lies in. Ordered only if the query says so.';
