-- The expiries of an underlying, as known at one moment: those of contracts that were quoted in
-- (at - max_age, at] and have not expired.
SELECT
    e.expiry_date,
    e.contracts,
    e.last_quote
FROM
    entasis.option_expiries(
        %(underlying)s::pg_catalog.text,
        %(at)s::pg_catalog.timestamptz,
        %(max_age)s::interval
    ) AS e
ORDER BY e.expiry_date;
