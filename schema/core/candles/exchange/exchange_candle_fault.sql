-- STABLE and without settings, so that it is inlined instead of called for each row.
CREATE OR REPLACE FUNCTION entasis_internal.exchange_candle_fault(
    symbol text, exchange text, candle_interval text, bucket timestamptz,
    open numeric, high numeric, low numeric, close numeric,
    volume numeric, quote_volume numeric, trades bigint, latest timestamptz
) RETURNS text[]
LANGUAGE sql STABLE
RETURN CASE
    WHEN entasis_internal.name_fault('symbol', symbol) IS NOT NULL
        THEN ARRAY['symbol', entasis_internal.name_fault('symbol', symbol)]
    WHEN entasis_internal.name_fault('exchange', exchange) IS NOT NULL
        THEN ARRAY['exchange', entasis_internal.name_fault('exchange', exchange)]
    WHEN
        candle_interval NOT IN (
            '1m', '3m', '5m', '15m', '30m',
            '1h', '2h', '4h', '6h', '8h', '12h',
            '1d', '3d', '1w', '1mo'
        )
        THEN ARRAY['interval', format('the interval "%s" is none of 1m to 1mo', candle_interval)]
    WHEN
        NOT (
            least(open, high, low, close) > -1e20 AND greatest(open, high, low, close) < 1e20
        )
        OR greatest(min_scale(open), min_scale(high), min_scale(low), min_scale(close)) > 18
        THEN
            ARRAY[
                'price',
                format(
                    'of the prices %s, %s, %s, %s one lies beyond -1e20 and 1e20 or has more'
                    ' than 18 decimals',
                    open, high, low, close
                )
            ]
    WHEN NOT (low <= least(open, close) AND greatest(open, close) <= high)
        THEN
            ARRAY[
                'price',
                format(
                    'open %s and close %s do not lie from low %s to high %s', open, close, low, high
                )
            ]
    WHEN NOT (volume >= 0 AND volume < 1e20) OR min_scale(volume) > 18
        THEN
            ARRAY[
                'volume',
                format(
                    'the volume %s is not from 0 to below 1e20 with at most 18 decimals', volume
                )
            ]
    WHEN NOT (quote_volume > -1e20 AND quote_volume < 1e20) OR min_scale(quote_volume) > 18
        THEN
            ARRAY[
                'quote_volume',
                format(
                    'the quote volume %s is not between -1e20 and 1e20 with at most 18 decimals',
                    quote_volume
                )
            ]
    WHEN trades < 0
        THEN ARRAY['trades', format('the number of trades is %s', trades)]
    WHEN bucket < '2009-01-01 00:00:00+00'
        THEN
            ARRAY[
                'bucket',
                format('%s lies before 2009; is the unit of time right?', bucket AT TIME ZONE 'UTC')
            ]
    WHEN bucket > latest
        THEN
            ARRAY[
                'bucket',
                format(
                    '%s lies in the future; is the unit of time right?', bucket AT TIME ZONE 'UTC'
                )
            ]
    WHEN bucket <> date_bin('1 minute', bucket, '2000-01-01 00:00:00+00')
        THEN
            ARRAY['bucket', format('%s is not a whole minute', bucket AT TIME ZONE 'UTC')]
END;

COMMENT ON FUNCTION entasis_internal.exchange_candle_fault IS
'Why a candle cannot be stored in exchange_candles, as {code, reason}. NULL: it can. latest is the latest bucket that is accepted.';
