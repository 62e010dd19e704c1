-- The implied volatility at the money of each expiry of an underlying, as known at one moment.
SELECT
    t.expiry_date,
    t.years,
    t.atm_iv
FROM
    entasis.iv_term_structure(
        %(underlying)s::pg_catalog.text,
        %(at)s::pg_catalog.timestamptz,
        %(max_age)s::interval
    ) AS t
ORDER BY t.expiry_date;
