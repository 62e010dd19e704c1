-- One statement a market, so that its candles are recomputed once. The bounds rule out partitions.
CREATE OR REPLACE FUNCTION entasis_internal.delete_replaced_trades() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    market record;
    count_of_market bigint;
    deleted bigint := 0;
BEGIN
    FOR market IN
        SELECT r.symbol, r.exchange, min(r.timestamp) AS first_time, max(r.timestamp) AS last_time,
            array_agg(r.timestamp ORDER BY r.timestamp, r.id) AS times,
            array_agg(r.id ORDER BY r.timestamp, r.id) AS ids
        FROM pg_temp.entasis_replaced_trades AS r
        WHERE NOT r.is_same
        GROUP BY r.symbol, r.exchange
        ORDER BY r.symbol, r.exchange
    LOOP
        DELETE FROM entasis.market_data AS d
        USING unnest(market.times) WITH ORDINALITY AS t (at, place)
        INNER JOIN unnest(market.ids) WITH ORDINALITY AS i (id, place) ON t.place = i.place
        WHERE d.symbol = market.symbol AND d.exchange = market.exchange
            AND d.timestamp BETWEEN market.first_time AND market.last_time
            AND d.timestamp = t.at AND d.id = i.id;
        GET DIAGNOSTICS count_of_market = ROW_COUNT;
        deleted := deleted + count_of_market;
    END LOOP;
    RETURN deleted;
END
$$;

COMMENT ON FUNCTION entasis_internal.delete_replaced_trades IS
'Deletes the trades of pg_temp.entasis_replaced_trades that are not stored as they are staged. Returns how many.';
