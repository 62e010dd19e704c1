-- The newest quote in (at - max_age, at] of every contract that has not expired at that moment.
SELECT
    q.underlying,
    q.strike_price,
    q.expiry_date,
    q.option_type,
    q.timestamp,
    q.id,
    q.iv,
    q.delta,
    q.gamma,
    q.theta,
    q.vega,
    q.bid_price,
    q.ask_price,
    q.mark_price,
    q.bid_iv,
    q.ask_iv,
    q.underlying_price,
    q.open_interest,
    q.rho
FROM
    entasis.option_chain(
        %(underlying)s::pg_catalog.text,
        %(at)s::pg_catalog.timestamptz,
        %(max_age)s::interval
    ) AS q
ORDER BY q.expiry_date, q.strike_price, q.option_type;
