-- Of daily candles, so that no older trades are read: a row for each market and day. The usual silence of a market is
-- what markets says, or else the longest between two days with trades, which covers nights and weekends, or ten times
-- the mean between two trades of a day, and never less than a minute. Days do not show the silence between sessions that
-- go on over midnight, so what seems silent is asked for its hours: the longest silence that ended on each day. A tenth of
-- the days may have longer ones: an outage is no habit.
CREATE OR REPLACE FUNCTION entasis_internal.health_feeds() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    as_of CONSTANT timestamptz := entasis_internal.candles_as_of();
    first_day CONSTANT timestamptz := date_trunc('day', now()) - interval '44 days';
    an_hour_ago CONSTANT timestamptz := now() - interval '1 hour';
BEGIN
    RETURN QUERY
    WITH days AS (
        SELECT
            c.symbol,
            c.exchange,
            c.opened_at,
            c.closed_at,
            c.trades,
            lag(c.closed_at) OVER (PARTITION BY c.symbol, c.exchange ORDER BY c.bucket)
            AS closed_before
        FROM entasis.ohlcv_1d AS c
        WHERE c.bucket >= first_day
    ),

    feeds AS (
        SELECT
            d.symbol,
            d.exchange,
            max(d.closed_at) AS last_trade,
            greatest(
                60,
                percentile_disc(0.9) WITHIN GROUP (
                    ORDER BY extract(EPOCH FROM d.opened_at - d.closed_before)
                ),
                10 * sum(extract(EPOCH FROM d.closed_at - d.opened_at)) / sum(d.trades)
            ) AS usual_silence
        FROM days AS d
        GROUP BY d.symbol, d.exchange
    )

    SELECT
        'feed_silent',
        f.exchange || ' ' || f.symbol,
        round(
            greatest(0, extract(EPOCH FROM as_of - f.last_trade))
            / coalesce(extract(EPOCH FROM m.usual_gap), greatest(f.usual_silence, s.by_hours)),
            2
        ),
        f.last_trade
    FROM feeds AS f
    LEFT OUTER JOIN entasis.markets AS m ON f.symbol = m.symbol AND f.exchange = m.exchange
    LEFT OUTER JOIN LATERAL (
        SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY l.longest) AS by_hours
        FROM (
            SELECT max(extract(EPOCH FROM h.opened_at - h.closed_before)) AS longest
            FROM (
                SELECT
                    c.opened_at,
                    lag(c.closed_at) OVER (ORDER BY c.bucket) AS closed_before
                FROM entasis.ohlcv_1h AS c
                WHERE
                    c.symbol = f.symbol AND c.exchange = f.exchange AND c.bucket >= first_day
                    AND m.usual_gap IS NULL
                    AND extract(EPOCH FROM as_of - f.last_trade) > f.usual_silence
            ) AS h
            GROUP BY date_trunc('day', h.opened_at)
        ) AS l
    ) AS s ON true
    WHERE
        f.last_trade > as_of - interval '30 days'
        -- traded no more
        AND m.is_active IS DISTINCT FROM false
        AND coalesce(m.expiry > as_of, true);
    -- (an aggregate and not LATERAL with LIMIT, which is not joined over shards)
    RETURN QUERY
    SELECT
        'ingest_lag',
        l.exchange || ' ' || l.symbol,
        -- a clock that is behind stores trades before they were made
        round(abs(extract(EPOCH FROM l.created_at - l.last_trade)), 3),
        l.last_trade
    FROM (
        SELECT
            f.symbol,
            f.exchange,
            f.last_trade,
            (array_agg(t.created_at ORDER BY t.id DESC))[1] AS created_at
        FROM (
            SELECT c.symbol, c.exchange, max(c.closed_at) AS last_trade
            FROM entasis.ohlcv_1d AS c
            WHERE c.bucket >= date_trunc('day', an_hour_ago)
            GROUP BY c.symbol, c.exchange
            HAVING max(c.closed_at) >= an_hour_ago
        ) AS f
        INNER JOIN entasis.market_data AS t
            ON f.symbol = t.symbol AND f.exchange = t.exchange AND f.last_trade = t.timestamp
        WHERE t.timestamp >= an_hour_ago
        GROUP BY f.symbol, f.exchange, f.last_trade
    ) AS l;
    RETURN QUERY
    SELECT 'candle_lag', NULL, round(extract(EPOCH FROM clock_timestamp() - as_of), 1), as_of;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_feeds IS
'For entasis.health: how long markets have been silent, against their own rhythm, how late their newest trades were stored, and how far candles are behind.';
