-- Whole minutes by their candles, and the trades of the pieces before and after them, by one statement of one symbol.
CREATE OR REPLACE FUNCTION entasis.vwap(
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    trades bigint,
    volume numeric,
    quote_volume numeric,
    vwap numeric
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    first_minute CONSTANT timestamptz := least(
        (
            date_bin(
                interval '1 minute',
                vwap.from_time AT TIME ZONE 'UTC' - interval '1 microsecond',
                '2000-01-01'::timestamp
            ) + interval '1 minute'
        ) AT TIME ZONE 'UTC',
        vwap.to_time
    );
    last_minute CONSTANT timestamptz := greatest(
        first_minute,
        date_bin(interval '1 minute', vwap.to_time, '2000-01-01 00:00:00+00'::timestamptz)
    );
    is_known CONSTANT boolean := (
        first_minute = vwap.from_time
        OR entasis_internal.trades_known_from(
            vwap.symbol_name, vwap.exchange_name, vwap.from_time
        ) = vwap.from_time
    )
    AND (
        last_minute = vwap.to_time
        OR entasis_internal.trades_known_from(
            vwap.symbol_name, vwap.exchange_name, last_minute
        ) = last_minute
    )
    AND (
        first_minute = last_minute
        OR first_minute >= entasis_internal.candles_known_from('1m')
        OR entasis_internal.is_known_below_floor(
            '1m', vwap.symbol_name, vwap.exchange_name, first_minute, last_minute
        )
    );
BEGIN
    IF is_known IS NOT TRUE THEN
        RETURN QUERY SELECT NULL::bigint, NULL::numeric, NULL::numeric, NULL::numeric;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT
        coalesce(sum(p.trades), 0)::bigint,
        coalesce(sum(p.volume), 0),
        coalesce(sum(p.quote_volume), 0),
        (sum(p.quote_volume) + 0.000000000000000000000000) / nullif(sum(p.volume), 0)
    FROM (
        SELECT c.trades, c.volume, c.quote_volume
        FROM entasis.ohlcv_1m AS c
        WHERE
            c.symbol = vwap.symbol_name
            AND c.exchange = vwap.exchange_name
            AND c.bucket >= first_minute
            AND c.bucket < last_minute
        UNION ALL
        SELECT 1, d.volume, d.price * d.volume
        FROM entasis.market_data AS d
        WHERE
            d.symbol = vwap.symbol_name
            AND d.exchange = vwap.exchange_name
            AND d.timestamp >= vwap.from_time
            AND d.timestamp < first_minute
            AND d.excluded IS NULL
        UNION ALL
        SELECT 1, d.volume, d.price * d.volume
        FROM entasis.market_data AS d
        WHERE
            d.symbol = vwap.symbol_name
            AND d.exchange = vwap.exchange_name
            AND d.timestamp >= last_minute
            AND d.timestamp < vwap.to_time
            AND d.excluded IS NULL
    ) AS p;
END
$$;

COMMENT ON FUNCTION entasis.vwap IS
'Average price of one market in [from_time, to_time), weighted by volume: always one row. volume is in the market''s volume_unit, quote_volume is the sum of price * volume, both exact and 0 without a trade; vwap is quote_volume / volume, in quote units, to at least 24 decimals, NULL without a trade. Where volume counts contracts of a value in quote units, as of inverse contracts, the weights are these values. Whole minutes are read from the candles, the rest of the range from the trades. All are NULL where some of what they need was dropped. Reads only the partitions of the range.';
