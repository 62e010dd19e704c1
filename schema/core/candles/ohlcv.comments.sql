COMMENT ON COLUMN entasis.ohlcv_1m.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.ohlcv_1m.exchange IS
'Exchange; candles never mix the prices of two exchanges.';
COMMENT ON COLUMN entasis.ohlcv_1m.bucket IS
'Start of the bucket, UTC; it contains the trades of [bucket, bucket + interval).';
COMMENT ON COLUMN entasis.ohlcv_1m.open IS
'Price of the first trade, the one with the smallest (timestamp, id); quote units.';
COMMENT ON COLUMN entasis.ohlcv_1m.high IS
'Highest price; quote units.';
COMMENT ON COLUMN entasis.ohlcv_1m.low IS
'Lowest price; quote units.';
COMMENT ON COLUMN entasis.ohlcv_1m.close IS
'Price of the last trade, the one with the largest (timestamp, id); quote units.';
COMMENT ON COLUMN entasis.ohlcv_1m.volume IS
'Sum of the trades'' volume; in the market''s volume_unit.';
COMMENT ON COLUMN entasis.ohlcv_1m.quote_volume IS
'Sum of price * volume, in the market''s own units: quote units where its volume_unit is base. quote_volume / volume is the VWAP. What was traded in quote units is the turnover of candles().';
COMMENT ON COLUMN entasis.ohlcv_1m.trades IS
'Number of trades.';
COMMENT ON COLUMN entasis.ohlcv_1m.opened_at IS
'Timestamp of the first trade; UTC.';
COMMENT ON COLUMN entasis.ohlcv_1m.first_trade_id IS
'id of the first trade.';
COMMENT ON COLUMN entasis.ohlcv_1m.closed_at IS
'Timestamp of the last trade; UTC.';
COMMENT ON COLUMN entasis.ohlcv_1m.last_trade_id IS
'id of the last trade.';

-- the columns of the other candle relations mean the same
DO $comments$
DECLARE
    described record;
BEGIN
    FOR described IN
        SELECT
            c.relname,
            a.attname,
            pg_catalog.col_description(m.attrelid, m.attnum) AS meaning
        FROM pg_catalog.pg_class AS c
        INNER JOIN pg_catalog.pg_attribute AS a ON c.oid = a.attrelid AND a.attnum > 0
        INNER JOIN pg_catalog.pg_attribute AS m
            ON m.attrelid = 'entasis.ohlcv_1m'::regclass AND a.attname = m.attname
        WHERE
            c.relnamespace = 'entasis'::regnamespace
            AND c.relname IN (
                'ohlcv_5m', 'ohlcv_15m', 'ohlcv_30m', 'ohlcv_1h', 'ohlcv_4h', 'ohlcv_1d', 'ohlcv_1w',
                'ohlcv_1mo', 'mv_ohlcv_1h'
            )
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN entasis.%I.%I IS %L',
            described.relname, described.attname, described.meaning
        );
    END LOOP;
END
$comments$;

COMMENT ON COLUMN entasis.mv_ohlcv_1h.timeframe IS
'Start of the hour, UTC; it contains the trades of [timeframe, timeframe + 1 hour).';
