CREATE OR REPLACE FUNCTION entasis.volume_profile(
    symbol_name text,
    exchange_name text,
    step numeric,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    price_from numeric,
    price_to numeric,
    trades bigint,
    volume numeric,
    quote_volume numeric,
    buy_volume numeric,
    sell_volume numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        g.level * volume_profile.step AS price_from,
        (g.level + 1) * volume_profile.step AS price_to,
        g.trades,
        g.volume,
        g.quote_volume,
        g.buy_volume,
        g.sell_volume
    FROM (
        SELECT
            -- exact, as the quotient of two numerics is not, and towards the lower step below 0 too
            div(d.price, entasis_internal.checked_size(volume_profile.step))
            - CASE WHEN mod(d.price, volume_profile.step) < 0 THEN 1 ELSE 0 END AS level,
            count(*) AS trades,
            sum(d.volume) AS volume,
            sum(d.price * d.volume) AS quote_volume,
            coalesce(sum(d.volume) FILTER (WHERE d.side = 'buy'), 0) AS buy_volume,
            coalesce(sum(d.volume) FILTER (WHERE d.side = 'sell'), 0) AS sell_volume
        FROM entasis.market_data AS d
        WHERE
            d.symbol = volume_profile.symbol_name
            AND d.exchange = volume_profile.exchange_name
            AND d.timestamp >= volume_profile.from_time
            AND d.timestamp < volume_profile.to_time
            AND (
                SELECT
                    entasis_internal.trades_known_from(
                        volume_profile.symbol_name,
                        volume_profile.exchange_name,
                        volume_profile.from_time
                    )
            ) = volume_profile.from_time
            AND d.excluded IS NULL
        GROUP BY 1
    ) AS g;
END;

COMMENT ON FUNCTION entasis.volume_profile IS
'What was traded of one market in [from_time, to_time) at which prices: a row for each step of prices [price_from, price_to), a multiple of step in quote units, in which there was a trade. volume, buy_volume and sell_volume (of the taker''s side; a trade without a side is in neither) are in the market''s volume_unit, quote_volume is the sum of price * volume; all are exact. No rows where trades of the range were dropped. Every trade of the range is read. Ordered only if the query says so. Reads only the partitions of the range.';
