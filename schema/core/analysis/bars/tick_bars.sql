-- The key gives the order in which trades are counted.
CREATE OR REPLACE FUNCTION entasis.tick_bars(
    symbol_name text,
    exchange_name text,
    size bigint,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    number bigint,
    symbol varchar,
    exchange varchar,
    opened_at timestamptz,
    first_trade_id bigint,
    closed_at timestamptz,
    last_trade_id bigint,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    quote_volume numeric,
    trades bigint,
    is_complete boolean
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        g.bar + 1 AS number,
        g.symbol,
        g.exchange,
        g.opened_at,
        g.opening[2]::bigint AS first_trade_id,
        g.closed_at,
        g.closing[2]::bigint AS last_trade_id,
        g.opening[3] AS open,
        g.high,
        g.low,
        g.closing[3] AS close,
        g.volume,
        g.quote_volume,
        g.trades,
        g.trades = tick_bars.size AS is_complete
    FROM (
        SELECT
            t.symbol,
            t.exchange,
            t.bar,
            min(t.timestamp) AS opened_at,
            max(t.timestamp) AS closed_at,
            min(entasis_internal.trade_order(t.timestamp, t.id, t.price)) AS opening,
            max(entasis_internal.trade_order(t.timestamp, t.id, t.price)) AS closing,
            max(t.price) AS high,
            min(t.price) AS low,
            sum(t.volume) AS volume,
            sum(t.price * t.volume) AS quote_volume,
            count(*) AS trades
        FROM (
            SELECT
                d.symbol,
                d.exchange,
                d.timestamp,
                d.id,
                d.price,
                d.volume,
                (row_number() OVER (ORDER BY d.timestamp, d.id) - 1)
                / entasis_internal.checked_size(tick_bars.size)::bigint AS bar
            FROM entasis.market_data AS d
            WHERE
                d.symbol = tick_bars.symbol_name
                AND d.exchange = tick_bars.exchange_name
                AND d.timestamp >= tick_bars.from_time
                AND d.timestamp < tick_bars.to_time
                AND d.timestamp >= (
                    SELECT
                        entasis_internal.trades_known_from(
                            tick_bars.symbol_name, tick_bars.exchange_name, tick_bars.from_time
                        )
                )
                AND d.excluded IS NULL
        ) AS t
        GROUP BY t.symbol, t.exchange, t.bar
    ) AS g;
END;

COMMENT ON FUNCTION entasis.tick_bars IS
'Bars of a number of trades (size) of one market in [from_time, to_time), counted from the first one in the order of (timestamp, id). number is that of the bar, from 1; prices are in quote units, volume in the market''s volume_unit, quote_volume is the sum of price * volume. The last bar may have fewer trades: is_complete says so. Trades that candles do not count (excluded) do not count; below the floor of trades, counting begins at the floor, unless all from from_time on was restored or reopened. Ordered only if the query says so. Reads only the partitions of the range.';
