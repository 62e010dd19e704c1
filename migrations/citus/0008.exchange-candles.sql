-- An exchange's own candles.
-- depends: 0007.archive

SET LOCAL ROLE entasis_owner;

-- An enum, so that a misspelt source is an error instead of an empty result.
DO $type$
BEGIN
    IF to_regtype('entasis.candle_source') IS NULL THEN
        CREATE TYPE entasis.candle_source AS ENUM ('trades', 'exchange');
    END IF;
END
$type$;

CREATE TABLE IF NOT EXISTS entasis.exchange_candles (
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    interval text COLLATE "C" NOT NULL,
    bucket timestamptz NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    quote_volume numeric,
    trades bigint,
    source text NOT NULL,
    CONSTRAINT exchange_candles_pkey PRIMARY KEY (symbol, exchange, interval, bucket),
    CONSTRAINT exchange_candles_symbol_is_name CHECK (
        symbol <> ''
        AND symbol !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT exchange_candles_exchange_is_name CHECK (
        exchange <> ''
        AND exchange !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT exchange_candles_interval_known CHECK (
        interval IN (
            '1m', '3m', '5m', '15m', '30m',
            '1h', '2h', '4h', '6h', '8h', '12h',
            '1d', '3d', '1w', '1mo'
        )
    ),
    -- what the archive can hold, as in market_data
    CONSTRAINT exchange_candles_bucket_archivable CHECK (
        bucket >= '2009-01-01 00:00:00+00' AND bucket < '9999-01-01 00:00:00+00'
    ),
    CONSTRAINT exchange_candles_bucket_whole CHECK (
        bucket = date_bin('1 minute', bucket, '2000-01-01 00:00:00+00')
    ),
    CONSTRAINT exchange_candles_open_exact CHECK (
        open > -1e20 AND open < 1e20 AND min_scale(open) <= 18
    ),
    CONSTRAINT exchange_candles_high_exact CHECK (
        high > -1e20 AND high < 1e20 AND min_scale(high) <= 18
    ),
    CONSTRAINT exchange_candles_low_exact CHECK (
        low > -1e20 AND low < 1e20 AND min_scale(low) <= 18
    ),
    CONSTRAINT exchange_candles_close_exact CHECK (
        close > -1e20 AND close < 1e20 AND min_scale(close) <= 18
    ),
    CONSTRAINT exchange_candles_low_to_high CHECK (
        low <= least(open, close) AND greatest(open, close) <= high
    ),
    CONSTRAINT exchange_candles_volume_exact CHECK (
        volume >= 0 AND volume < 1e20 AND min_scale(volume) <= 18
    ),
    CONSTRAINT exchange_candles_quote_volume_exact CHECK (
        quote_volume > -1e20 AND quote_volume < 1e20 AND min_scale(quote_volume) <= 18
    ),
    CONSTRAINT exchange_candles_trades_counted CHECK (trades >= 0),
    CONSTRAINT exchange_candles_source_bounded CHECK (length(source) BETWEEN 1 AND 255)
) PARTITION BY RANGE (bucket);
