CREATE OR REPLACE VIEW entasis.market_coverage WITH (security_invoker = true) AS
SELECT
    c.symbol,
    c.exchange,
    min(c.opened_at) AS first_trade,
    max(c.closed_at) AS last_trade,
    sum(c.trades)::bigint AS trades
FROM entasis.ohlcv_1d AS c
GROUP BY c.symbol, c.exchange;

COMMENT ON VIEW entasis.market_coverage IS
'From when to when each market has daily candles, and how many trades they count; a market without one has no row. Reads no trade that is in a stored candle. Candles are kept longer than trades: these may be dropped.';
COMMENT ON COLUMN entasis.market_coverage.symbol IS
'Instrument, in the exchange''s spelling.';
COMMENT ON COLUMN entasis.market_coverage.exchange IS
'Exchange.';
COMMENT ON COLUMN entasis.market_coverage.first_trade IS
'Timestamp of the first trade of the oldest candle; UTC.';
COMMENT ON COLUMN entasis.market_coverage.last_trade IS
'Timestamp of the last trade of the newest candle; UTC.';
COMMENT ON COLUMN entasis.market_coverage.trades IS
'Number of trades that the daily candles count.';
