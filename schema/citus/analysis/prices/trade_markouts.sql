-- Trades come from their node first: what is asked for each may ask its own.
CREATE OR REPLACE FUNCTION entasis.trade_markouts(
    symbol_name text,
    exchange_name text,
    horizons interval[],
    from_time timestamptz,
    to_time timestamptz,
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (
    "timestamp" timestamptz, -- noqa: RF06
    id bigint,
    side text,
    price numeric,
    volume numeric,
    horizon interval,
    moment timestamptz,
    price_then numeric,
    traded_at timestamptz,
    move numeric,
    markout numeric,
    markout_return numeric
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1000
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known_from CONSTANT timestamptz := entasis_internal.trades_known_from(
        trade_markouts.symbol_name, trade_markouts.exchange_name, trade_markouts.from_time
    );
    made record;
BEGIN
    FOR made IN
        SELECT
            d.timestamp,
            d.id,
            d.side,
            d.price,
            d.volume,
            CASE d.side WHEN 'buy' THEN 1 WHEN 'sell' THEN -1 END AS sign
        FROM entasis.market_data AS d
        WHERE
            d.symbol = trade_markouts.symbol_name
            AND d.exchange = trade_markouts.exchange_name
            AND d.timestamp >= trade_markouts.from_time
            AND d.timestamp < trade_markouts.to_time
            AND d.timestamp >= known_from
            AND d.excluded IS NULL
    LOOP
        RETURN QUERY
        SELECT
            made.timestamp,
            made.id,
            made.side,
            made.price,
            made.volume,
            h.horizon,
            h.moment,
            a.price,
            a.traded_at,
            a.price - made.price,
            made.sign * (a.price - made.price),
            CASE
                WHEN made.price > 0
                    THEN made.sign * (a.price - made.price + 0.000000000000000000000000) / made.price
            END
        FROM (
            SELECT
                u.horizon,
                (made.timestamp AT TIME ZONE 'UTC' + u.horizon) AT TIME ZONE 'UTC' AS moment
            FROM unnest(trade_markouts.horizons) AS u (horizon)
        ) AS h
        LEFT JOIN LATERAL entasis_internal.trade_asof(
            trade_markouts.symbol_name, trade_markouts.exchange_name, h.moment, trade_markouts.max_age
        ) AS a ON true;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis.trade_markouts IS
'How the price moved after each trade of one market in [from_time, to_time): a row for each trade that candles count and each horizon. price_then is the price at moment = timestamp + horizon, as prices_asof() tells it, in quote units; move is price_then - price; markout is the move to the side of the trade, so positive where its taker gained: move for a buy, -move for a sell, NULL where side is; markout_return is markout / price, a fraction to at least 24 decimals, NULL where price is not above 0. All of these are NULL where there is no price then, above all where moment is still to come. Without a later trade price_then is the trade''s own. Trades below the floor that were neither restored nor reopened have no row. Ordered only if the query says so. Reads only the partitions of the range.';
