CREATE OR REPLACE FUNCTION entasis.session_candles(
    symbol_name text,
    exchange_name text,
    opens time,
    closes time,
    from_time timestamptz,
    to_time timestamptz,
    zone text DEFAULT 'UTC',
    weekdays integer[] DEFAULT '{1,2,3,4,5}',
    width interval DEFAULT NULL
) RETURNS TABLE (
    session_opens_at timestamptz,
    symbol varchar,
    exchange varchar,
    bucket timestamptz,
    ends_at timestamptz,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    quote_volume numeric,
    trades bigint,
    opened_at timestamptz,
    first_trade_id bigint,
    closed_at timestamptz,
    last_trade_id bigint,
    turnover numeric,
    vwap numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        s.opens_at AS session_opens_at,
        c.symbol,
        c.exchange,
        c.bucket,
        c.ends_at,
        c.open,
        c.high,
        c.low,
        c.close,
        c.volume,
        c.quote_volume,
        c.trades,
        c.opened_at,
        c.first_trade_id,
        c.closed_at,
        c.last_trade_id,
        coalesce(
            c.volume * (
                SELECT r.per_volume
                FROM
                    entasis_internal.turnover_rates(
                        session_candles.symbol_name, session_candles.exchange_name
                    ) AS r
            ),
            c.quote_volume * (
                SELECT r.per_quote_volume
                FROM
                    entasis_internal.turnover_rates(
                        session_candles.symbol_name, session_candles.exchange_name
                    ) AS r
            )
        ) AS turnover,
        c.quote_volume / nullif(c.volume, 0) AS vwap
    FROM (
        SELECT
            entasis_internal.local_start(d.day + session_candles.opens, session_candles.zone)
                AS opens_at,
            entasis_internal.local_start(
                d.day + session_candles.closes
                + CASE
                    WHEN session_candles.closes > session_candles.opens THEN interval '0'
                    ELSE interval '1 day'
                END,
                session_candles.zone
            ) AS closes_at
        FROM
            generate_series(
                date_trunc(
                    'day',
                    greatest(session_candles.from_time, '2009-01-01 00:00:00+00')
                    AT TIME ZONE session_candles.zone
                ) - interval '2 days',
                least(session_candles.to_time, now()) AT TIME ZONE session_candles.zone
                + interval '2 days',
                interval '1 day'
            ) AS d (day)
        WHERE
            entasis_internal.checked_session(
                session_candles.opens,
                session_candles.closes,
                session_candles.weekdays,
                session_candles.width
            )
            AND extract(ISODOW FROM d.day) = any(session_candles.weekdays)
            -- a zone that moves over the date line leaves a day out
            AND (
                entasis_internal.local_start(d.day + interval '12 hours', session_candles.zone)
                AT TIME ZONE session_candles.zone
            )::date = d.day::date
    ) AS s
    CROSS JOIN
        LATERAL entasis_internal.merged_minutes(
            session_candles.symbol_name,
            session_candles.exchange_name,
            s.opens_at,
            s.closes_at,
            session_candles.width
        ) AS c
    WHERE
        s.opens_at >= session_candles.from_time
        AND s.opens_at < session_candles.to_time;
END;

COMMENT ON FUNCTION entasis.session_candles IS
'Candles of one market of the sessions that open in [from_time, to_time): every session from opens to closes on the clock of zone, on the weekdays (1 is Monday, 7 Sunday) on which it opens. Where closes is not after opens the session ends on the next day: so 09:30 to 16:00 are regular hours, 16:00 to 09:30 the extended ones around them. Without a width a session is one candle; with one, of whole minutes, candles are counted from its opening and the last ends with it. A time of day that comes twice is the first of them, one that is skipped is the moment of the change. The columns are those of candles(), in the same units; what has no trade has no row, nor has what begins below the floor of minutes. Ordered only if the query says so. Reads only the partitions of the range.';
