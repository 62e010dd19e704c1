-- The quotes of one contract in [from_time, to_time), in order of time: how its implied volatility and
-- its greeks moved.
SELECT
    o.underlying,
    o.strike_price,
    o.expiry_date,
    o.option_type,
    o.timestamp,
    o.id,
    o.iv,
    o.delta,
    o.gamma,
    o.theta,
    o.vega,
    o.bid_price,
    o.ask_price,
    o.mark_price,
    o.bid_iv,
    o.ask_iv,
    o.underlying_price,
    o.open_interest,
    o.rho
FROM entasis.option_data AS o
WHERE
    o.underlying OPERATOR(pg_catalog.=) %(underlying)s::pg_catalog.text
    AND o.expiry_date OPERATOR(pg_catalog.=) %(expiry_date)s::pg_catalog.timestamptz
    AND o.strike_price OPERATOR(pg_catalog.=) %(strike_price)s::numeric
    AND o.option_type OPERATOR(pg_catalog.=) %(option_type)s::pg_catalog.text
    AND o.timestamp OPERATOR(pg_catalog.>=) %(from_time)s::pg_catalog.timestamptz
    AND o.timestamp OPERATOR(pg_catalog.<) %(to_time)s::pg_catalog.timestamptz
ORDER BY o.timestamp, o.id;
