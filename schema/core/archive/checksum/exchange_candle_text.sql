-- As trade_text(); NULL becomes an empty text.
CREATE OR REPLACE FUNCTION entasis_internal.exchange_candle_text(
    symbol text,
    exchange text,
    candle_interval text,
    bucket timestamptz,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    quote_volume numeric,
    trades bigint,
    source text
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN concat_ws(
    ',',
    candle_interval,
    entasis_internal.time_text(bucket),
    trim_scale(open * 1e18),
    trim_scale(high * 1e18),
    trim_scale(low * 1e18),
    trim_scale(close * 1e18),
    trim_scale(volume * 1e18),
    coalesce(trim_scale(quote_volume * 1e18)::text, ''),
    coalesce(trades::text, ''),
    source,
    length(symbol),
    symbol,
    exchange
);

COMMENT ON FUNCTION entasis_internal.exchange_candle_text IS
'A candle of an exchange''s own as the text that goes into an archive''s checksum.';
