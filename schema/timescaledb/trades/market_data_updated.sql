CREATE OR REPLACE FUNCTION entasis_internal.market_data_updated() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF least(
        (SELECT min(o.timestamp) FROM old_trades AS o),
        (SELECT min(n.timestamp) FROM new_trades AS n)
    ) < (SELECT f.floor FROM entasis.floors AS f WHERE f.relation = 'market_data') THEN
        -- reopened ranges are whole days of a market
        PERFORM entasis_internal.refuse_below_floor(
            'market_data', min(t.timestamp), t.symbol, t.exchange
        )
        FROM (
            SELECT o.symbol, o.exchange, o.timestamp FROM old_trades AS o
            UNION ALL
            SELECT n.symbol, n.exchange, n.timestamp FROM new_trades AS n
        ) AS t
        GROUP BY t.symbol, t.exchange, date_trunc('day', t.timestamp, 'UTC');
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_updated IS
'Trigger of market_data: refuses a statement that changed trades below the floor, or moved them there.';
