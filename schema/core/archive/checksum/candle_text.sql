-- see trade_text
CREATE OR REPLACE FUNCTION entasis_internal.candle_text(
    symbol text,
    exchange text,
    bucket timestamptz,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    quote_volume numeric,
    trades bigint,
    opened_at timestamptz,
    first_trade_id bigint,
    closed_at timestamptz,
    last_trade_id bigint
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN concat_ws(
    ',',
    entasis_internal.time_text(bucket),
    trim_scale(open * 1e18),
    trim_scale(high * 1e18),
    trim_scale(low * 1e18),
    trim_scale(close * 1e18),
    trim_scale(volume * 1e18),
    trim_scale(quote_volume * 1e24),
    trades,
    entasis_internal.time_text(opened_at),
    first_trade_id,
    entasis_internal.time_text(closed_at),
    last_trade_id,
    length(symbol),
    symbol,
    exchange
);

COMMENT ON FUNCTION entasis_internal.candle_text IS
'A candle as the text that goes into an archive''s checksum.';
