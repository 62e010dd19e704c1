-- The filter of Hampel on each side: median and MAD of the five trades before, and of the five after. A level that stays is
-- near one of them, and so is each trade of a fall that takes several trades.
CREATE OR REPLACE FUNCTION entasis_internal.price_spikes(
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
    jump CONSTANT numeric := entasis_internal.anomaly_limit('price_jump');
    deviations CONSTANT numeric := entasis_internal.anomaly_limit('price_deviations') * 1.4826;
    usual_jumps CONSTANT numeric := entasis_internal.anomaly_limit('price_usual_jumps');
BEGIN
    RETURN QUERY
    WITH steps AS (
        SELECT t.timestamp, t.id, t.price, lag(t.price) OVER w AS before, row_number() OVER w AS place
        FROM entasis.market_data AS t
        WHERE t.symbol = symbol_name AND t.exchange = exchange_name
            AND t.timestamp >= read_from AND t.timestamp < read_to
            AND t.excluded IS NULL
        WINDOW w AS (ORDER BY t.timestamp, t.id)
    ),
    jumps AS MATERIALIZED (
        SELECT s.timestamp, s.id, s.price, s.place, abs(s.price - s.before) AS step,
            coalesce(abs(s.price - s.before) > jump * least(abs(s.price), abs(s.before)), false)::integer AS is_jump
        FROM steps AS s
    ),
    placed AS (
        SELECT j.timestamp, j.id, j.price, j.place,
            sum(j.is_jump) OVER (
                ORDER BY j.place ROWS BETWEEN 3 PRECEDING AND 3 FOLLOWING
            ) AS jumps_here,
            sum(j.is_jump) OVER (
                ORDER BY j.place ROWS BETWEEN 10 PRECEDING AND 10 FOLLOWING
            ) AS jumps_near
        FROM jumps AS j
    ),
    neighbours AS (
        -- only of trades near a jump, whose neighbours are near it, too
        SELECT p.timestamp, p.id, p.price, p.place, p.jumps_here,
            coalesce(array_agg(p.price) OVER (
                ORDER BY p.place ROWS BETWEEN 5 PRECEDING AND 1 PRECEDING
            ), '{}') AS back,
            coalesce(array_agg(p.price) OVER (
                ORDER BY p.place ROWS BETWEEN 1 FOLLOWING AND 5 FOLLOWING
            ), '{}') AS ahead
        FROM placed AS p
        WHERE p.jumps_near > 0
    ),
    compared AS (
        -- at an end, what lacks on one side is taken from the other
        SELECT n.timestamp, n.id, n.price, n.place,
            n.back || n.ahead[1:5 - cardinality(n.back)] AS before,
            n.ahead || n.back[cardinality(n.back) - 4 + cardinality(n.ahead):] AS after
        FROM neighbours AS n
        WHERE n.jumps_here > 0 AND cardinality(n.back || n.ahead) >= 4
            AND n.timestamp >= price_spikes.from_time AND n.timestamp < price_spikes.to_time
    ),
    measured AS (
        SELECT c.timestamp, c.id, c.price, c.place, m.before AS median_before, m.after AS median_after,
            abs(c.price - m.before) - deviations * entasis_internal.median_deviation(c.before, m.before) AS beyond_before,
            abs(c.price - m.after) - deviations * entasis_internal.median_deviation(c.after, m.after) AS beyond_after
        FROM compared AS c
        CROSS JOIN LATERAL (
            SELECT entasis_internal.median(c.before) AS before, entasis_internal.median(c.after) AS after
            OFFSET 0
        ) AS m
    ),
    suspected AS (
        SELECT m.* FROM measured AS m
        WHERE m.beyond_before > jump * abs(m.median_before) AND m.beyond_after > jump * abs(m.median_after)
    ),
    around AS (
        SELECT s.place,
            usual_jumps * coalesce(
                (array_agg(j.step ORDER BY j.step DESC) FILTER (WHERE j.step IS NOT NULL))[
                    least(9, count(j.step) / 2 + 1)
                ],
                0
            ) AS usual,
            entasis_internal.median(
                array_agg(j.price) FILTER (WHERE abs(j.place - s.place) BETWEEN 1 AND 10)
            ) AS middle,
            count(*) FILTER (
                WHERE abs(j.place - s.place) > 5 AND abs(j.price - s.price) <= jump * abs(s.price)
            ) AS at_this_level,
            count(*) FILTER (WHERE abs(j.place - s.place) > 5) AS others
        FROM suspected AS s
        CROSS JOIN generate_series(-1, 1) AS k (step)
        -- by fifties, so that they are found without reading all trades for each
        INNER JOIN jumps AS j ON s.place / 50 + k.step = j.place / 50
        WHERE abs(j.place - s.place) <= 50
        GROUP BY s.place
    )
    SELECT 'price_spike', s.timestamp, NULL::timestamptz, jsonb_build_object('id', s.id), s.price,
        (s.median_before + s.median_after) * 0.5,
        jsonb_build_object(
            'median_before', s.median_before, 'median_after', s.median_after, 'usual_jump', a.usual
        )
    FROM suspected AS s
    INNER JOIN around AS a ON s.place = a.place
    WHERE s.beyond_before > a.usual AND s.beyond_after > a.usual
        -- a trade between an end and a run of spikes
        AND abs(s.price - a.middle)
        > 0.25 * least(abs(s.price - s.median_before), abs(s.price - s.median_after))
        -- a market that goes to and fro between two prices
        AND NOT a.at_this_level >= greatest(7, a.others / 4);
END
$$;

COMMENT ON FUNCTION entasis_internal.price_spikes IS
'Trades of [from_time, to_time) whose price is far from the medians of the five before and the five after it, read from [read_from, read_to): up to three in a row. docs/quality.md has the definition.';
