CREATE OR REPLACE FUNCTION entasis.quote_volume_bars(
    symbol_name text,
    exchange_name text,
    size numeric,
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
        b.number,
        b.symbol,
        b.exchange,
        b.opened_at,
        b.first_trade_id,
        b.closed_at,
        b.last_trade_id,
        b.open,
        b.high,
        b.low,
        b.close,
        b.volume,
        b.quote_volume,
        b.trades,
        b.is_complete
    FROM entasis_internal.trade_bars(
        quote_volume_bars.symbol_name,
        quote_volume_bars.exchange_name,
        quote_volume_bars.size,
        quote_volume_bars.from_time,
        quote_volume_bars.to_time,
        true
    ) AS b;
END;

COMMENT ON FUNCTION entasis.quote_volume_bars IS
'Bars of one market in [from_time, to_time): in the order of (timestamp, id), a bar ends with the trade with which it reaches size, in the sum of price * volume, of its absolute value where prices are below 0, and the next one begins anew; no trade is divided. The columns, and which trades count, are those of tick_bars(). The last bar may not have reached its size: is_complete says so. For inverse contracts, whose contracts are worth a fixed amount in quote units, use volume_bars(). Ordered only if the query says so. Reads only the partitions of the range.';
