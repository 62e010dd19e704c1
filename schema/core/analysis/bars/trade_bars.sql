-- What begins a bar anew depends on where the last one ended, so that trades are gone through one by one.
CREATE OR REPLACE FUNCTION entasis_internal.trade_bars(
    symbol_name text,
    exchange_name text,
    size numeric,
    from_time timestamptz,
    to_time timestamptz,
    is_quote boolean
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
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1000
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    known_from CONSTANT timestamptz := entasis_internal.trades_known_from(
        trade_bars.symbol_name, trade_bars.exchange_name, trade_bars.from_time
    );
    wanted CONSTANT numeric := entasis_internal.checked_size(trade_bars.size);
    filled numeric := 0;
    trade record;
BEGIN
    number := 1;
    trades := 0;
    FOR trade IN
        SELECT
            d.symbol,
            d.exchange,
            d.timestamp,
            d.id,
            d.price,
            d.volume,
            d.price * d.volume AS quote_volume
        FROM entasis.market_data AS d
        WHERE
            d.symbol = trade_bars.symbol_name
            AND d.exchange = trade_bars.exchange_name
            AND d.timestamp >= trade_bars.from_time
            AND d.timestamp >= known_from
            AND d.timestamp < trade_bars.to_time
            AND d.excluded IS NULL
        ORDER BY d.timestamp, d.id
    LOOP
        IF trades = 0 THEN
            symbol := trade.symbol;
            exchange := trade.exchange;
            opened_at := trade.timestamp;
            first_trade_id := trade.id;
            open := trade.price;
            high := trade.price;
            low := trade.price;
            volume := 0;
            quote_volume := 0;
            filled := 0;
        END IF;
        closed_at := trade.timestamp;
        last_trade_id := trade.id;
        high := greatest(high, trade.price);
        low := least(low, trade.price);
        close := trade.price;
        volume := volume + trade.volume;
        quote_volume := quote_volume + trade.quote_volume;
        trades := trades + 1;
        filled := filled + CASE WHEN is_quote THEN abs(trade.quote_volume) ELSE trade.volume END;
        IF filled >= wanted THEN
            is_complete := true;
            RETURN NEXT;
            number := number + 1;
            trades := 0;
        END IF;
    END LOOP;
    IF trades > 0 THEN
        is_complete := false;
        RETURN NEXT;
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.trade_bars IS
'Bars of a size in volume, or of the absolute value of price * volume (is_quote): see volume_bars() and quote_volume_bars().';
