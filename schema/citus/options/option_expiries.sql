-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.option_expiries(
    underlying_name text,
    at_time timestamptz DEFAULT now(),
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (expiry_date timestamptz, contracts bigint, last_quote timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 20
BEGIN ATOMIC
    SELECT
        q.expiry_date,
        count(*) AS contracts,
        max(q.timestamp) AS last_quote
    FROM
        entasis_internal.newest_quotes(
            option_expiries.underlying_name,
            option_expiries.at_time + interval '1 microsecond',
            'infinity',
            option_expiries.at_time,
            option_expiries.max_age
        ) AS q
    GROUP BY q.expiry_date;
END;

COMMENT ON FUNCTION entasis.option_expiries IS
'The expiries of an underlying, as known at one moment: those of the contracts of option_chain(). contracts is how many of each were quoted in (at_time - max_age, at_time], last_quote when the newest of these quotes was made. It takes as many index look-ups as option_chain(). Ordered only if the query says so.';
