CREATE OR REPLACE FUNCTION entasis.volume_bars(
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
        volume_bars.symbol_name,
        volume_bars.exchange_name,
        volume_bars.size,
        volume_bars.from_time,
        volume_bars.to_time,
        false
    ) AS b;
END;

COMMENT ON FUNCTION entasis.volume_bars IS
'Bars of one market in [from_time, to_time): in the order of (timestamp, id), a bar ends with the trade with which it reaches size, in volume, in the market''s volume_unit, and the next one begins anew; no trade is divided. The columns, and which trades count, are those of tick_bars(). The last bar may not have reached its size: is_complete says so. Ordered only if the query says so. Reads only the partitions of the range.';
