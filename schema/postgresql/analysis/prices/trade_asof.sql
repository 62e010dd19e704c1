CREATE OR REPLACE FUNCTION entasis_internal.trade_asof(
    symbol_name text, exchange_name text, at_time timestamptz, max_age interval
) RETURNS TABLE (traded_at timestamptz, trade_id bigint, price numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        t.traded_at,
        t.trade_id,
        t.price
    FROM
        entasis_internal.trade_asof_minutes(
            trade_asof.symbol_name, trade_asof.exchange_name, trade_asof.at_time, trade_asof.max_age
        ) AS t
    WHERE trade_asof.at_time <= statement_timestamp();
END;

COMMENT ON FUNCTION entasis_internal.trade_asof IS
'The last trade of a market, by (timestamp, id), that was made in (at_time - max_age, at_time], of those that candles count. No row: there is none, it is not known because its time was dropped, or at_time is NULL, infinite or still to come. Arithmetic is on UTC''s own clock.';
