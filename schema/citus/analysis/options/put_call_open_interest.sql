-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.put_call_open_interest(
    underlying_name text,
    at_time timestamptz DEFAULT now(),
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (
    expiry_date timestamptz,
    contracts bigint,
    call_open_interest numeric,
    put_open_interest numeric,
    put_call_ratio numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
BEGIN ATOMIC
    SELECT
        g.expiry_date,
        g.contracts,
        g.calls AS call_open_interest,
        g.puts AS put_open_interest,
        g.puts / nullif(g.calls, 0) AS put_call_ratio
    FROM (
        SELECT
            q.expiry_date,
            count(*) AS contracts,
            sum(q.open_interest) FILTER (WHERE q.option_type = 'call') AS calls,
            sum(q.open_interest) FILTER (WHERE q.option_type = 'put') AS puts
        FROM
            entasis_internal.newest_quotes(
                put_call_open_interest.underlying_name,
                put_call_open_interest.at_time + interval '1 microsecond',
                'infinity',
                put_call_open_interest.at_time,
                put_call_open_interest.max_age,
                'open_interest'
            ) AS q
        GROUP BY q.expiry_date
    ) AS g;
END;

COMMENT ON FUNCTION entasis.put_call_open_interest IS
'Open interest of calls and of puts by expiry, as known at one moment: of each contract that expires after at_time the last quote, by (timestamp, id), that was made in (at_time - max_age, at_time] and has one; contracts is how many. In the venue''s contracts, exact; NULL where no call, or no put, has one. put_call_ratio is put_open_interest / call_open_interest, rounded half away from zero to at least 16 significant digits; NULL where either is NULL or no call is open. Volumes of options are not stored. Lengths are of UTC''s own clock. Ordered only if the query says so.';
