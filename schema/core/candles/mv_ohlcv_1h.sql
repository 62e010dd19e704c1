-- The source document's materialized view as a view on ohlcv_1h: it needs no refresh of its own, open and
-- close are defined for equal timestamps, and exchanges are kept apart, so that a symbol may have several
-- rows an hour.
CREATE OR REPLACE VIEW entasis.mv_ohlcv_1h WITH (security_invoker = true) AS
SELECT
    c.symbol,
    c.bucket AS timeframe,
    c.open,
    c.high,
    c.low,
    c.close,
    c.volume
FROM entasis.ohlcv_1h AS c;

COMMENT ON VIEW entasis.mv_ohlcv_1h IS
'The columns of the source document''s hourly candles, for code written to it: one row for each symbol, exchange and hour. New code reads ohlcv_1h, which names the exchange.';
