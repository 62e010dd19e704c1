-- The smile of what expires in [expiry_from, expiry_to), an expiry or a day of them: for each strike and type
-- the newest quote in (at - max_age, at] that has an implied volatility, beside its moneyness and delta.
SELECT
    s.expiry_date,
    s.strike_price,
    s.option_type,
    s.iv,
    s.bid_iv,
    s.ask_iv,
    s.underlying_price,
    s.moneyness,
    s.delta,
    s.timestamp,
    s.id
FROM
    entasis.iv_smile(
        %(underlying)s::pg_catalog.text,
        %(expiry_from)s::pg_catalog.timestamptz,
        %(expiry_to)s::pg_catalog.timestamptz,
        %(at)s::pg_catalog.timestamptz,
        %(max_age)s::interval
    ) AS s
ORDER BY s.expiry_date, s.strike_price, s.option_type COLLATE pg_catalog."C";
