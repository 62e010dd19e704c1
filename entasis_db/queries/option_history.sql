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
    o.underlying = %(underlying)s::text
    AND o.expiry_date = %(expiry_date)s::timestamptz
    AND o.strike_price = %(strike_price)s::numeric
    AND o.option_type = %(option_type)s::text
    AND o.timestamp >= %(from_time)s::timestamptz
    AND o.timestamp < %(to_time)s::timestamptz
ORDER BY o.timestamp, o.id;
