-- Risk reversal and butterfly of each expiry of an underlying, as known at one moment.
SELECT
    r.expiry_date,
    r.years,
    r.call_iv,
    r.put_iv,
    r.atm_iv,
    r.risk_reversal,
    r.butterfly
FROM
    entasis.risk_reversals(
        %(underlying)s::pg_catalog.text,
        %(at)s::pg_catalog.timestamptz,
        %(max_age)s::interval,
        %(wing_delta)s::numeric
    ) AS r
ORDER BY r.expiry_date;
