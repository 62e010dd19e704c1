-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.option_chain(
    underlying_name text,
    at_time timestamptz DEFAULT now(),
    max_age interval DEFAULT interval '1 day'
) RETURNS SETOF entasis.option_data
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    SELECT q.* -- noqa: AM04
    FROM entasis_internal.newest_quotes(
        option_chain.underlying_name,
        option_chain.at_time + interval '1 microsecond',
        'infinity',
        option_chain.at_time,
        option_chain.max_age
    ) AS q;
END;

COMMENT ON FUNCTION entasis.option_chain IS
'The newest quote of every contract of an underlying, as known at one moment, as rows of option_data: of those that expire after at_time the last, by (timestamp, id), that was made in (at_time - max_age, at_time]. A contract without one has no row. Lengths are of UTC''s own clock. It takes a few index look-ups for each contract of the calendar months that the span lies in. Ordered only if the query says so.';
