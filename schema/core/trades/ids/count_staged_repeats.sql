-- A load that is repeated finds every trade as it is staged. The trades of each market in the range of its staged ones are
-- read once, in the order of the key: without MATERIALIZED they would be read once for each staged row, and by the index of
-- the exchange, which has the trades of all its markets, if the condition on the exchange fitted it. A temporary table has
-- no statistics: a nested loop would be chosen for any number of rows.
CREATE OR REPLACE FUNCTION entasis_internal.count_staged_repeats() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET jit = off
SET enable_mergejoin = off
AS $$
DECLARE
    repeats bigint;
BEGIN
    -- most batches that come here are not repeated, and their first row says so
    PERFORM FROM (
        SELECT s.* FROM pg_temp.entasis_staged_trades AS s ORDER BY s.line LIMIT 1
    ) AS s
    CROSS JOIN LATERAL (
        SELECT FROM entasis.market_data AS t
        WHERE t.symbol = s.symbol AND t.exchange = s.exchange
            AND t.timestamp = s.timestamp AND t.id = s.id
        LIMIT 1
    ) AS d;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;

    WITH stored AS MATERIALIZED (
        SELECT g.symbol, g.exchange, d.*
        FROM (
            SELECT s.symbol, s.exchange, min(s.timestamp) AS first_time, max(s.timestamp) AS last_time
            FROM pg_temp.entasis_staged_trades AS s
            GROUP BY s.symbol, s.exchange
        ) AS g
        CROSS JOIN LATERAL (
            SELECT t.timestamp, t.id, t.price, t.volume, t.side, t.source_id, t.excluded
            FROM entasis.market_data AS t
            WHERE t.symbol = g.symbol AND t.exchange || '' = g.exchange
                AND t.timestamp >= g.first_time AND t.timestamp <= g.last_time
            OFFSET 0
        ) AS d
    )
    SELECT count(*) INTO repeats
    FROM stored AS d
    INNER JOIN pg_temp.entasis_staged_trades AS s
        ON d.symbol = s.symbol AND d.exchange = s.exchange
        AND d.timestamp = s.timestamp AND d.id = s.id
    WHERE d.price = s.price AND d.volume = s.volume
        -- nothing to compare, or to fill in
        AND (s.side IS NULL OR s.side IS NOT DISTINCT FROM d.side)
        AND (s.source_id IS NULL OR s.source_id IS NOT DISTINCT FROM d.source_id)
        AND (s.excluded IS NULL OR d.excluded IS NOT NULL);
    RETURN repeats;
END
$$;

COMMENT ON FUNCTION entasis_internal.count_staged_repeats IS
'How many rows of pg_temp.entasis_staged_trades are stored with the same price and volume, and with all that the row states. 0 if the first of them is not stored.';
