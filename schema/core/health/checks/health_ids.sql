-- Hours tell whether ids are missing; only where they do, id_gaps() looks for the gap.
CREATE OR REPLACE FUNCTION entasis_internal.health_ids() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $$
DECLARE
    from_time CONSTANT timestamptz := date_trunc('hour', now()) - interval '24 hours';
BEGIN
    RETURN QUERY
    WITH suspected AS MATERIALIZED (
        SELECT m.symbol, m.exchange
        FROM entasis.markets AS m
        INNER JOIN entasis.ohlcv_1h AS c ON m.symbol = c.symbol AND m.exchange = c.exchange
        WHERE
            m.ids_dense AND entasis_internal.is_exchange_id(m.id_space) AND c.bucket >= from_time
        GROUP BY m.symbol, m.exchange
        HAVING max(c.last_trade_id) - min(c.first_trade_id) + 1 <> sum(c.trades)
    )

    SELECT
        'ids_missing',
        s.exchange || ' ' || s.symbol,
        sum(g.missing)::numeric,
        min(g.after_time)
    FROM suspected AS s
    CROSS JOIN LATERAL entasis.id_gaps(s.symbol, s.exchange, from_time, 'infinity') AS g
    GROUP BY s.symbol, s.exchange;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_ids IS
'For entasis.health: trades that markets whose ids have no gaps lack in the last day.';
