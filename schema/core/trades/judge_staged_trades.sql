-- Names are judged once for each market, everything else for each row.
CREATE OR REPLACE FUNCTION entasis_internal.judge_staged_trades(
    source_name text, lowest timestamptz
) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    -- allowance for differing clocks
    latest timestamptz := clock_timestamp() + interval '5 minutes';
    names_fit boolean;
    past_retention bigint;
BEGIN
    names_fit := NOT EXISTS (
        SELECT FROM (SELECT DISTINCT s.symbol, s.exchange FROM pg_temp.entasis_staged_trades AS s) AS n
        WHERE entasis_internal.name_fault('symbol', n.symbol) IS NOT NULL
            OR entasis_internal.name_fault('exchange', n.exchange) IS NOT NULL
    );

    WITH judged AS MATERIALIZED (
        SELECT s.*, j.fault, s.ctid AS place
        FROM pg_temp.entasis_staged_trades AS s
        CROSS JOIN LATERAL (
            SELECT entasis_internal.trade_fault(
                s.symbol, s.exchange, s.timestamp, s.id, s.price, s.volume, s.side,
                s.source_id, s.excluded,
                names_fit,
                entasis_internal.has_signed_prices(s.symbol, s.exchange),
                judge_staged_trades.lowest,
                entasis_internal.is_reopened('market_data', s.symbol, s.exchange, s.timestamp),
                latest
            ) AS fault
        ) AS j
        WHERE j.fault IS NOT NULL
    ),
    discarded AS (
        DELETE FROM pg_temp.entasis_staged_trades AS s
        USING judged AS j
        WHERE s.ctid = j.place
    ),
    put AS (
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'market_data', source_name, j.line, j.fault[1], j.fault[2],
            to_jsonb(j) - 'line' - 'fault' - 'place'
        FROM judged AS j
        WHERE j.fault[1] <> 'past_retention'
        ON CONFLICT DO NOTHING
    ),
    counted AS (
        SELECT j.symbol, j.exchange, count(*) AS refused,
            min(j.timestamp) AS from_time, max(j.timestamp) AS to_time
        FROM judged AS j
        WHERE j.fault[1] = 'past_retention'
        GROUP BY 1, 2
    ),
    put_counts AS (
        INSERT INTO entasis.past_retention AS p (
            relation, source, symbol, exchange, refused, from_time, to_time
        )
        SELECT 'market_data', source_name, c.symbol, c.exchange, c.refused, c.from_time, c.to_time
        FROM counted AS c
        ORDER BY c.symbol, c.exchange
        ON CONFLICT ON CONSTRAINT past_retention_once DO UPDATE SET
            refused = p.refused + excluded.refused,
            from_time = least(p.from_time, excluded.from_time),
            to_time = greatest(p.to_time, excluded.to_time),
            last_refused_at = current_timestamp
    )
    SELECT coalesce(sum(c.refused), 0) INTO past_retention FROM counted AS c;
    RETURN past_retention;
END
$$;

COMMENT ON FUNCTION entasis_internal.judge_staged_trades IS
'Removes from pg_temp.entasis_staged_trades what trade_fault() finds at fault: to quarantine, or, if it only lies below the floor (lowest), to the counts of entasis.past_retention. Returns how many lie below the floor.';
