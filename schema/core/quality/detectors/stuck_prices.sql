CREATE OR REPLACE FUNCTION entasis_internal.stuck_prices(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz,
    read_from timestamptz, read_to timestamptz
) RETURNS TABLE (
    kind text, begins_at timestamptz, ends_at timestamptz, row_key jsonb,
    observed numeric, expected numeric, detail jsonb
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    least_trades CONSTANT numeric := entasis_internal.anomaly_limit('stuck_trades');
    times CONSTANT numeric := entasis_internal.anomaly_limit('stuck_times');
BEGIN
    RETURN QUERY
    WITH steps AS (
        SELECT t.timestamp, t.id, t.price,
            row_number() OVER w AS place,
            (t.price IS DISTINCT FROM lag(t.price) OVER w)::integer AS is_other
        FROM entasis.market_data AS t
        WHERE t.symbol = symbol_name AND t.exchange = exchange_name
            AND t.timestamp >= read_from AND t.timestamp < read_to
            AND t.excluded IS NULL
        WINDOW w AS (ORDER BY t.timestamp, t.id)
    ),
    numbered AS (
        SELECT s.*, sum(s.is_other) OVER (ORDER BY s.place) AS run FROM steps AS s
    ),
    runs AS MATERIALIZED (
        SELECT n.run, min(n.place) AS first_place, max(n.place) AS last_place, min(n.price) AS price,
            count(*) AS trades, min(n.timestamp) AS first_time, max(n.timestamp) AS last_time,
            (array_agg(n.id ORDER BY n.place))[1] AS first_id,
            extract(EPOCH FROM max(n.timestamp) - min(n.timestamp)) AS seconds
        FROM numbered AS n
        GROUP BY n.run
    ),
    usual AS (
        SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY r.trades) AS trades,
            percentile_disc(0.95) WITHIN GROUP (ORDER BY r.seconds) AS seconds
        FROM runs AS r
    ),
    suspected AS (
        SELECT r.* FROM runs AS r
        CROSS JOIN usual AS u
        WHERE r.trades >= least_trades AND r.trades > times * u.trades AND r.seconds > times * u.seconds
            AND r.last_time >= stuck_prices.from_time AND r.first_time < stuck_prices.to_time
    )
    SELECT 'stuck_price', s.first_time, s.last_time, jsonb_build_object('id', s.first_id),
        s.trades::numeric, n.trades::numeric,
        jsonb_build_object('price', s.price, 'seconds', s.seconds, 'usual_seconds', n.seconds)
    FROM suspected AS s
    CROSS JOIN LATERAL (
        -- the longest of the others may be stuck, too
        SELECT (array_agg(o.trades ORDER BY o.trades DESC))[least(4, 1 + count(*) / 10)] AS trades,
            (array_agg(o.seconds ORDER BY o.seconds DESC))[least(4, 1 + count(*) / 10)] AS seconds,
            count(*) AS others
        FROM runs AS o
        WHERE o.run <> s.run
            AND o.first_place >= s.first_place - 1000 AND o.last_place <= s.last_place + 1000
    ) AS n
    WHERE n.others >= 50 AND s.trades > times * n.trades AND s.seconds > times * n.seconds;
END
$$;

COMMENT ON FUNCTION entasis_internal.stuck_prices IS
'Runs of trades at one price that meet [from_time, to_time), and are much longer, by trades and by time, than the others among the thousand trades before and after, read from [read_from, read_to). docs/quality.md has the definition.';
