-- As trade_text(); NULL becomes an empty text.
CREATE OR REPLACE FUNCTION entasis_internal.quote_text(
    underlying text,
    expiry_date timestamptz,
    strike_price numeric,
    option_type text,
    quoted_at timestamptz,
    id bigint,
    iv numeric,
    delta numeric,
    gamma numeric,
    theta numeric,
    vega numeric,
    bid_price numeric,
    ask_price numeric,
    mark_price numeric,
    bid_iv numeric,
    ask_iv numeric,
    underlying_price numeric,
    open_interest numeric,
    rho numeric
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN concat_ws(
    ',',
    entasis_internal.time_text(expiry_date),
    trim_scale(strike_price * 1e12),
    entasis_internal.time_text(quoted_at),
    id,
    coalesce(trim_scale(iv * 1e18)::text, ''),
    coalesce(trim_scale(delta * 1e18)::text, ''),
    coalesce(trim_scale(gamma * 1e18)::text, ''),
    coalesce(trim_scale(theta * 1e18)::text, ''),
    coalesce(trim_scale(vega * 1e18)::text, ''),
    coalesce(trim_scale(bid_price * 1e18)::text, ''),
    coalesce(trim_scale(ask_price * 1e18)::text, ''),
    coalesce(trim_scale(mark_price * 1e18)::text, ''),
    coalesce(trim_scale(bid_iv * 1e18)::text, ''),
    coalesce(trim_scale(ask_iv * 1e18)::text, ''),
    coalesce(trim_scale(underlying_price * 1e18)::text, ''),
    coalesce(trim_scale(open_interest * 1e18)::text, ''),
    coalesce(trim_scale(rho * 1e18)::text, ''),
    length(underlying),
    underlying,
    option_type
);

COMMENT ON FUNCTION entasis_internal.quote_text IS
'An option quote as the text that goes into an archive''s checksum.';
