-- Open interest of calls and of puts by expiry, as known at one moment.
SELECT
    i.expiry_date,
    i.contracts,
    i.call_open_interest,
    i.put_open_interest,
    i.put_call_ratio
FROM
    entasis.put_call_open_interest(
        %(underlying)s::pg_catalog.text,
        %(at)s::pg_catalog.timestamptz,
        %(max_age)s::interval
    ) AS i
ORDER BY i.expiry_date;
