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
    suspected record;
    from_time CONSTANT timestamptz := date_trunc('hour', now()) - interval '24 hours';
BEGIN
    FOR suspected IN
        SELECT m.symbol, m.exchange
        FROM entasis.markets AS m
        INNER JOIN entasis.ohlcv_1h AS c ON m.symbol = c.symbol AND m.exchange = c.exchange
        WHERE
            m.ids_dense AND entasis_internal.is_exchange_id(m.id_space) AND c.bucket >= from_time
        GROUP BY m.symbol, m.exchange
        HAVING max(c.last_trade_id) - min(c.first_trade_id) + 1 <> sum(c.trades)
    LOOP
        RETURN QUERY
        SELECT
            'ids_missing',
            suspected.exchange || ' ' || suspected.symbol,
            sum(g.missing)::numeric,
            min(g.after_time)
        FROM entasis.id_gaps(suspected.symbol, suspected.exchange, from_time, 'infinity') AS g
        HAVING count(*) > 0;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_ids IS
'For entasis.health: trades that markets whose ids have no gaps lack in the last day.';
