-- In steps, each a statement of one symbol. The core's file explains what is looked for.
CREATE OR REPLACE FUNCTION entasis_internal.trade_asof_minutes(
    symbol_name text, exchange_name text, at_time timestamptz, max_age interval
) RETURNS TABLE (traded_at timestamptz, trade_id bigint, price numeric)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    later_than CONSTANT timestamptz := (at_time AT TIME ZONE 'UTC' - max_age) AT TIME ZONE 'UTC';
    -- it may have begun a minute before
    lowest_bucket CONSTANT timestamptz := (
        at_time AT TIME ZONE 'UTC' - max_age - interval '1 minute'
    ) AT TIME ZONE 'UTC';
    candle record;
    counted bigint;
BEGIN
    SELECT m.bucket, m.trades, m.closed_at, m.last_trade_id, m.close INTO candle
    FROM entasis.ohlcv_1m AS m
    WHERE
        m.symbol = symbol_name
        AND m.exchange = exchange_name
        AND m.bucket <= at_time
        AND m.bucket > lowest_bucket
        AND m.opened_at <= at_time
    ORDER BY m.bucket DESC
    LIMIT 1;
    IF NOT FOUND OR NOT (
        candle.bucket >= entasis_internal.candles_known_from('1m')
        OR entasis_internal.is_known_below_floor(
            '1m', symbol_name, exchange_name, candle.bucket, at_time + interval '1 microsecond'
        )
    ) THEN
        RETURN;
    END IF;
    IF candle.closed_at <= at_time THEN
        traded_at := candle.closed_at;
        trade_id := candle.last_trade_id;
        price := candle.close;
    ELSE
        IF candle.bucket < entasis_internal.trades_kept_from() THEN
            SELECT count(*) INTO counted
            FROM entasis.market_data AS a
            WHERE
                a.symbol = symbol_name
                AND a.exchange = exchange_name
                AND a.timestamp >= candle.bucket
                AND a.timestamp < candle.bucket + interval '1 minute'
                AND a.excluded IS NULL;
            IF counted <> candle.trades THEN
                RETURN;
            END IF;
        END IF;
        SELECT d.timestamp, d.id, d.price INTO traded_at, trade_id, price
        FROM entasis.market_data AS d
        WHERE
            d.symbol = symbol_name
            AND d.exchange = exchange_name
            AND d.timestamp >= candle.bucket
            AND d.timestamp <= at_time
            AND d.excluded IS NULL
        ORDER BY d.timestamp DESC, d.id DESC
        LIMIT 1;
    END IF;
    IF traded_at > later_than THEN
        RETURN NEXT;
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.trade_asof_minutes IS
'As trade_asof(), from the candles of minutes, and the trades of the minute that a moment lies in.';
