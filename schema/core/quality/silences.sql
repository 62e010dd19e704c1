-- Minutes know when their first and last trades were made, so no trade is read but those inside of what seems silent: trades
-- that no candle counts, and on engine timescaledb late ones before the next refresh. A usual gap of less than a minute takes
-- all trades.
CREATE OR REPLACE FUNCTION entasis_internal.silences(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
) RETURNS TABLE (after_time timestamptz, before_time timestamptz, usual interval)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    lowest_id CONSTANT bigint := -9223372036854775808;
    read_from CONSTANT timestamptz := silences.from_time - interval '1 day';
    read_to CONSTANT timestamptz := silences.to_time + interval '1 day';
    by_hand interval;
    is_short boolean;
    lasted_to timestamptz;
    last_trade timestamptz;
    next_trade timestamptz;
BEGIN
    SELECT m.usual_gap, least(silences.to_time, now(), m.expiry) INTO by_hand, lasted_to
    FROM entasis.markets AS m
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name;
    is_short := coalesce(by_hand < interval '1 minute', false);
    IF isfinite(silences.to_time) THEN
        SELECT p.traded_at INTO last_trade
        FROM entasis_internal.previous_trade(symbol_name, exchange_name, silences.to_time, lowest_id) AS p;
        SELECT n.traded_at INTO next_trade
        FROM entasis_internal.next_trade(symbol_name, exchange_name, silences.to_time, lowest_id) AS n;
    END IF;

    RETURN QUERY
    WITH runs AS MATERIALIZED (
        SELECT c.opened_at AS begins_at, c.closed_at AS ends_at, c.trades
        FROM entasis.ohlcv_1m AS c
        WHERE c.symbol = symbol_name AND c.exchange = exchange_name
            AND c.bucket >= date_bin('1 minute', read_from, '2000-01-01 00:00:00+00'::timestamptz)
            AND c.bucket < read_to
            AND NOT is_short
        UNION ALL
        SELECT t.timestamp, t.timestamp, 1
        FROM entasis.market_data AS t
        WHERE t.symbol = symbol_name AND t.exchange = exchange_name
            AND t.timestamp >= read_from AND t.timestamp < read_to
            AND is_short
        UNION ALL
        -- what the range lies between, if that is further away
        SELECT p.traded_at, p.traded_at, 0
        FROM entasis_internal.previous_trade(symbol_name, exchange_name, silences.from_time, lowest_id) AS p
        WHERE isfinite(silences.from_time) AND p.traded_at < read_from
        UNION ALL
        SELECT next_trade, next_trade, 0
        WHERE next_trade >= read_to
    ),
    spans AS MATERIALIZED (
        SELECT lag(r.ends_at) OVER (ORDER BY r.begins_at, r.ends_at) AS after_time,
            r.begins_at AS before_time
        FROM runs AS r
    ),
    rhythm AS (
        SELECT coalesce(
            by_hand,
            greatest(
                interval '1 minute',
                least(
                    -- the longest may be what is looked for
                    20 * (max(r.ends_at) - min(r.begins_at) - s.longest) / nullif(sum(r.trades), 0)::float8,
                    3 * s.often
                )
            )
        ) AS usual
        FROM runs AS r
        CROSS JOIN (
            SELECT max(b.before_time - b.after_time) AS longest,
                percentile_disc(0.99) WITHIN GROUP (ORDER BY b.before_time - b.after_time) AS often
            FROM spans AS b
            WHERE b.after_time IS NOT NULL
        ) AS s
        GROUP BY s.longest, s.often
    ),
    suspected AS (
        SELECT s.after_time, s.before_time FROM spans AS s
        CROSS JOIN rhythm AS r
        WHERE s.before_time - s.after_time > r.usual
            AND s.before_time >= silences.from_time AND s.after_time < silences.to_time
    ),
    told AS (
        SELECT s.after_time AS part_of, s.after_time AS traded_at FROM suspected AS s
        UNION ALL
        SELECT s.after_time, s.before_time FROM suspected AS s
        UNION ALL
        SELECT s.after_time, d.timestamp
        FROM suspected AS s
        CROSS JOIN LATERAL (
            SELECT t.timestamp FROM entasis.market_data AS t
            WHERE t.symbol = symbol_name AND t.exchange = exchange_name
                AND t.timestamp > s.after_time AND t.timestamp < s.before_time
        ) AS d
    ),
    silent AS (
        SELECT lag(t.traded_at) OVER (PARTITION BY t.part_of ORDER BY t.traded_at) AS after_time,
            t.traded_at AS before_time, t.traded_at AS ends_at
        FROM told AS t
        UNION ALL
        -- nothing has come since
        SELECT last_trade, NULL, lasted_to
        WHERE next_trade IS NULL AND lasted_to >= silences.from_time
    )
    SELECT s.after_time, s.before_time, r.usual
    FROM silent AS s
    CROSS JOIN rhythm AS r
    CROSS JOIN LATERAL (SELECT (s.ends_at - s.after_time) / 4 AS quarter) AS q
    WHERE s.ends_at - s.after_time > r.usual
        AND s.ends_at >= silences.from_time AND s.after_time < silences.to_time
        -- nights, weekends: it was as silent at the same time of the two weeks before
        AND NOT (
            by_hand IS NULL
            AND EXISTS (
                SELECT FROM entasis.ohlcv_1d AS c
                WHERE c.symbol = symbol_name AND c.exchange = exchange_name
                    AND c.bucket < s.after_time - interval '15 days'
            )
            AND NOT EXISTS (
                SELECT FROM entasis.ohlcv_1m AS c
                CROSS JOIN generate_series(7, 14, 7) AS w (days)
                WHERE c.symbol = symbol_name AND c.exchange = exchange_name
                    AND c.bucket >= s.after_time + q.quarter - make_interval(days => w.days)
                    AND c.bucket < s.ends_at - q.quarter - make_interval(days => w.days)
            )
        )
    ORDER BY s.after_time;
END
$$;

COMMENT ON FUNCTION entasis_internal.silences IS
'Spans of [from_time, to_time) in which a market was silent for longer than usual: no trade is stored between those at after_time and before_time (NULL: none has come since, up to to_time, now or the market''s expiry). usual: usual_gap of entasis.markets; where that is NULL, the lesser of 20 times the mean time between two trades and 3 times the 99th percentile of the spans between minutes with trades, of the range and a day on each side, and no less than a minute; then a silence that was there in the two weeks before, too, is usual. A silence that meets the range is given whole.';
