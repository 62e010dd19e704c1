-- Without settings, so that it is inlined.
CREATE OR REPLACE FUNCTION entasis_internal.candle_fingerprint(
    trades numeric, volume numeric, quote_volume numeric,
    high numeric, low numeric, closed_at timestamptz
) RETURNS text
LANGUAGE sql STABLE
RETURN concat_ws(
    ' ', trades, trim_scale(volume), trim_scale(quote_volume), trim_scale(high), trim_scale(low),
    extract(EPOCH FROM closed_at)
);

COMMENT ON FUNCTION entasis_internal.candle_fingerprint IS
'What tells whether the trades of a candle are those that were examined.';
