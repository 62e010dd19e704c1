CREATE OR REPLACE FUNCTION entasis.order_flow_imbalance(
    symbol_name text,
    exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    bucket timestamptz,
    trades bigint,
    buy_trades bigint,
    sell_trades bigint,
    volume numeric,
    buy_volume numeric,
    sell_volume numeric,
    imbalance numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        g.bucket,
        g.trades,
        g.buy_trades,
        g.sell_trades,
        g.volume,
        g.buy_volume,
        g.sell_volume,
        (g.buy_volume - g.sell_volume + 0.000000000000000000000000)
        / nullif(g.buy_volume + g.sell_volume, 0) AS imbalance
    FROM (
        SELECT
            entasis.candle_bucket(order_flow_imbalance.candle_interval, d.timestamp) AS bucket,
            count(*) AS trades,
            count(*) FILTER (WHERE d.side = 'buy') AS buy_trades,
            count(*) FILTER (WHERE d.side = 'sell') AS sell_trades,
            sum(d.volume) AS volume,
            coalesce(sum(d.volume) FILTER (WHERE d.side = 'buy'), 0) AS buy_volume,
            coalesce(sum(d.volume) FILTER (WHERE d.side = 'sell'), 0) AS sell_volume
        FROM entasis.market_data AS d
        WHERE
            d.symbol = order_flow_imbalance.symbol_name
            AND d.exchange = order_flow_imbalance.exchange_name
            AND d.timestamp >= entasis.candle_bucket_from(
                order_flow_imbalance.candle_interval, order_flow_imbalance.from_time
            )
            AND d.timestamp < entasis.candle_bucket_from(
                order_flow_imbalance.candle_interval, order_flow_imbalance.to_time
            )
            AND d.excluded IS NULL
        GROUP BY 1
    ) AS g
    WHERE
        g.bucket >= (
            SELECT
                entasis_internal.trades_known_from(
                    order_flow_imbalance.symbol_name,
                    order_flow_imbalance.exchange_name,
                    entasis.candle_bucket_from(
                        order_flow_imbalance.candle_interval, order_flow_imbalance.from_time
                    )
                )
        );
END;

COMMENT ON FUNCTION entasis.order_flow_imbalance IS
'Order-flow imbalance of one market in the buckets that begin in [from_time, to_time), from the side that took: imbalance is (buy_volume - sell_volume) / (buy_volume + sell_volume), from -1 to 1, to at least 24 decimals, NULL where no trade of the bucket has a side. volume, buy_volume and sell_volume are in the market''s volume_unit and exact; trades without a side are in trades and volume only. A bucket without a trade has no row, nor has one that begins below the floor of trades, unless it was restored or reopened. Every trade of the range is read. Ordered only if the query says so. Reads only the partitions of the range.';
