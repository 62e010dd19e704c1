-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis.iv_smile(
    underlying_name text,
    expiry_from timestamptz,
    expiry_to timestamptz,
    at_time timestamptz DEFAULT now(),
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (
    expiry_date timestamptz,
    strike_price numeric,
    option_type varchar,
    iv numeric,
    bid_iv numeric,
    ask_iv numeric,
    underlying_price numeric,
    moneyness numeric,
    delta numeric,
    "timestamp" timestamptz, -- noqa: RF06
    id bigint
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
    SELECT
        q.expiry_date,
        q.strike_price,
        q.option_type,
        q.iv,
        q.bid_iv,
        q.ask_iv,
        q.underlying_price,
        CASE
            WHEN q.underlying_price <> 0 THEN q.strike_price / q.underlying_price
        END AS moneyness,
        q.delta,
        q.timestamp,
        q.id
    FROM entasis_internal.newest_quotes(
        iv_smile.underlying_name,
        iv_smile.expiry_from,
        iv_smile.expiry_to,
        iv_smile.at_time,
        iv_smile.max_age,
        'iv'
    ) AS q;
END;

COMMENT ON FUNCTION entasis.iv_smile IS
'The smile of what expires in [expiry_from, expiry_to), an expiry or several, as known at one moment, expired ones too: for each strike and type the last quote, by (timestamp, id), that was made in (at_time - max_age, at_time] and has an implied volatility; a contract without one has no row. iv, bid_iv and ask_iv are fractions per year. moneyness is strike_price / underlying_price, rounded half away from zero to at least 16 significant digits; NULL where the quote has no underlying_price, or 0. delta is as the source states it, or NULL. Lengths are of UTC''s own clock. Ordered only if the query says so.';
