-- By minutes: looking for trades of a quiet market in the key would pass all trades of its symbol on other exchanges.
CREATE OR REPLACE FUNCTION entasis_internal.trades_around(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz, trades bigint,
    OUT reads_from timestamptz, OUT reads_to timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    SELECT min(n.bucket) INTO reads_from
    FROM (
        SELECT b.bucket, sum(b.trades) OVER (ORDER BY b.bucket DESC) - b.trades AS nearer
        FROM (
            SELECT c.bucket, c.trades FROM entasis.ohlcv_1m AS c
            WHERE c.symbol = symbol_name AND c.exchange = exchange_name
                AND c.bucket < trades_around.from_time
                AND c.bucket >= trades_around.from_time - interval '31 days'
            ORDER BY c.bucket DESC
            LIMIT trades_around.trades
        ) AS b
    ) AS n
    WHERE n.nearer < trades_around.trades;
    SELECT max(n.bucket) + interval '1 minute' INTO reads_to
    FROM (
        SELECT b.bucket, sum(b.trades) OVER (ORDER BY b.bucket) - b.trades AS nearer
        FROM (
            SELECT c.bucket, c.trades FROM entasis.ohlcv_1m AS c
            WHERE c.symbol = symbol_name AND c.exchange = exchange_name
                AND c.bucket >= date_bin('1 minute', trades_around.to_time, '2000-01-01 00:00:00+00'::timestamptz)
                AND c.bucket < trades_around.to_time + interval '31 days'
            ORDER BY c.bucket
            LIMIT trades_around.trades
        ) AS b
    ) AS n
    WHERE n.nearer < trades_around.trades;
    reads_from := least(reads_from, trades_around.from_time);
    reads_to := greatest(reads_to, trades_around.to_time);
END
$$;

COMMENT ON FUNCTION entasis_internal.trades_around IS
'A range around [from_time, to_time) of whole minutes that has so many trades of the market more on each side, or all within 31 days.';
