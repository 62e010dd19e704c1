-- What candles are is read first: what comes meanwhile is seen the next time.
CREATE OR REPLACE FUNCTION entasis.examine_day(
    symbol_name text, exchange_name text, day_begins timestamptz
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    the_day CONSTANT timestamptz := date_trunc('day', day_begins);
    kept_from CONSTANT timestamptz := entasis_internal.trades_kept_from();
    candle_now text;
    hours_now jsonb;
    hours_then jsonb;
    piece record;
    added bigint := 0;
BEGIN
    SELECT entasis_internal.candle_fingerprint(d.trades, d.volume, d.quote_volume, d.high, d.low, d.closed_at)
    INTO candle_now
    FROM entasis.ohlcv_1d AS d
    WHERE d.symbol = symbol_name AND d.exchange = exchange_name AND d.bucket = the_day;
    SELECT coalesce(
        jsonb_object_agg(
            extract(EPOCH FROM h.bucket)::bigint,
            entasis_internal.candle_fingerprint(h.trades, h.volume, h.quote_volume, h.high, h.low, h.closed_at)
        ),
        '{}'
    )
    INTO hours_now
    FROM entasis.ohlcv_1h AS h
    WHERE h.symbol = symbol_name AND h.exchange = exchange_name
        AND h.bucket >= the_day AND h.bucket < the_day + interval '1 day';
    SELECT e.hourly INTO hours_then FROM entasis_internal.examined_days AS e
    WHERE e.symbol = symbol_name AND e.exchange = exchange_name AND e.day = the_day;

    FOR piece IN
        SELECT min(c.hour) AS from_time, max(c.hour) + interval '1 hour' AS to_time
        FROM (
            SELECT to_timestamp(k.hour) AS hour,
                k.hour - 3600 * row_number() OVER (ORDER BY k.hour) AS run
            FROM (
                SELECT coalesce(n.key, o.key)::bigint AS hour
                FROM jsonb_each_text(hours_now) AS n
                FULL JOIN jsonb_each_text(coalesce(hours_then, '{}')) AS o ON n.key = o.key
                WHERE n.value IS DISTINCT FROM o.value
            ) AS k
        ) AS c
        GROUP BY c.run
        ORDER BY 1
    LOOP
        CONTINUE WHEN piece.to_time <= kept_from;
        added := added + entasis_internal.detect_trades(
            symbol_name, exchange_name, greatest(piece.from_time, kept_from), piece.to_time
        );
    END LOOP;
    added := added + entasis.note_candle_differences(the_day, the_day + interval '1 day', symbol_name, exchange_name);

    IF candle_now IS NULL THEN
        DELETE FROM entasis_internal.examined_days AS e
        WHERE e.symbol = symbol_name AND e.exchange = exchange_name AND e.day = the_day;
    ELSE
        INSERT INTO entasis_internal.examined_days AS e (symbol, exchange, day, candle, hourly)
        VALUES (symbol_name, exchange_name, the_day, candle_now, hours_now)
        ON CONFLICT (symbol, exchange, day) DO UPDATE SET candle = excluded.candle, hourly = excluded.hourly;
    END IF;
    RETURN added;
END
$$;

COMMENT ON FUNCTION entasis.examine_day IS
'Looks for anomalies in the hours of a market''s UTC day whose candles have changed since they were examined, and notes that they are. Returns how many are new.';
