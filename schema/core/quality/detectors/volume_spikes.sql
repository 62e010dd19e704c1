CREATE OR REPLACE FUNCTION entasis_internal.volume_spikes(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz,
    read_from timestamptz, read_to timestamptz
) RETURNS TABLE (
    kind text, begins_at timestamptz, ends_at timestamptz, row_key jsonb,
    observed numeric, expected numeric, detail jsonb
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
    times CONSTANT numeric := entasis_internal.anomaly_limit('volume_times');
    times_most CONSTANT numeric := entasis_internal.anomaly_limit('volume_times_most');
BEGIN
    RETURN QUERY
    WITH trades AS MATERIALIZED (
        SELECT t.timestamp, t.id, t.volume, row_number() OVER w AS place,
            least(
                lag(t.volume, 1) OVER w, lag(t.volume, 2) OVER w, lag(t.volume, 3) OVER w, lag(t.volume, 4) OVER w,
                lead(t.volume, 1) OVER w, lead(t.volume, 2) OVER w, lead(t.volume, 3) OVER w, lead(t.volume, 4) OVER w
            ) AS least_near
        FROM entasis.market_data AS t
        WHERE t.symbol = symbol_name AND t.exchange = exchange_name
            AND t.timestamp >= read_from AND t.timestamp < read_to
            AND t.excluded IS NULL
        WINDOW w AS (ORDER BY t.timestamp, t.id)
    ),
    large AS (
        SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY t.volume) AS volume FROM trades AS t
    ),
    suspected AS (
        SELECT t.timestamp, t.id, t.volume, t.place FROM trades AS t
        WHERE t.volume >= (SELECT l.volume FROM large AS l) AND t.volume > times * t.least_near
            AND t.timestamp >= volume_spikes.from_time AND t.timestamp < volume_spikes.to_time
    ),
    around AS (
        -- those above what is compared may be spikes, too
        SELECT s.timestamp, s.id, s.volume, count(*) AS others,
            (array_agg(t.volume ORDER BY t.volume DESC))[least(4, 1 + count(*) / 10)] AS high,
            entasis_internal.median(array_agg(t.volume)) AS middle
        FROM suspected AS s
        CROSS JOIN generate_series(-1, 1) AS k (step)
        -- by fifties, so that they are found without reading all trades for each
        INNER JOIN trades AS t ON s.place / 50 + k.step = t.place / 50
        WHERE abs(t.place - s.place) BETWEEN 1 AND 50
        GROUP BY s.timestamp, s.id, s.volume
    )
    SELECT 'volume_spike', a.timestamp, NULL::timestamptz, jsonb_build_object('id', a.id), a.volume, a.high,
        jsonb_build_object('median', a.middle)
    FROM around AS a
    WHERE a.others >= 4 AND a.volume > a.high * least(times_most, times * a.high / a.middle);
END
$$;

COMMENT ON FUNCTION entasis_internal.volume_spikes IS
'Trades of [from_time, to_time) whose volume is far above that of the hundred around it, read from [read_from, read_to). docs/quality.md has the definition.';
