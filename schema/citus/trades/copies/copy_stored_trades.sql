-- Statements that join staged rows with shards in several ways are more than Citus plans. So what they need to know is brought here
-- first, and judged here as on engine postgresql.
CREATE OR REPLACE FUNCTION entasis_internal.copy_stored_trades() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM entasis_internal.make_stored_trades();
    INSERT INTO pg_temp.entasis_stored_trades
    SELECT d.* FROM entasis.market_data AS d
    INNER JOIN (
        SELECT DISTINCT s.symbol, s.exchange, s.timestamp, s.id FROM pg_temp.entasis_staged_trades AS s
    ) AS s
        ON d.symbol = s.symbol AND d.exchange = s.exchange AND d.timestamp = s.timestamp AND d.id = s.id;
    PERFORM entasis_internal.copy_staged_markets();
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_stored_trades IS
'Copies into pg_temp.entasis_stored_trades the trades that are stored under the keys that are staged, and into pg_temp.entasis_staged_markets the staged markets.';

CREATE OR REPLACE FUNCTION entasis_internal.copy_trades_of_ids(
    symbols text[], exchanges text[], from_times timestamptz[], to_times timestamptz[]
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    piece record;
    staged_ids bigint[];
BEGIN
    PERFORM entasis_internal.make_stored_trades();
    -- one range after the other: each is a statement for the node that has the symbol
    FOR piece IN
        SELECT r.* FROM unnest(symbols, exchanges, from_times, to_times)
            AS r (symbol, exchange, from_time, to_time)
    LOOP
        SELECT array_agg(DISTINCT s.id) INTO staged_ids
        FROM pg_temp.entasis_staged_trades AS s
        WHERE s.symbol = piece.symbol AND s.exchange = piece.exchange;
        INSERT INTO pg_temp.entasis_stored_trades
        SELECT d.* FROM entasis.market_data AS d
        WHERE d.symbol = piece.symbol AND d.exchange = piece.exchange
            AND d.timestamp >= piece.from_time AND d.timestamp <= piece.to_time
            AND d.id = ANY (staged_ids);
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_trades_of_ids IS
'Copies into pg_temp.entasis_stored_trades the trades that are stored with ids that are staged, of each market in [from_time, to_time].';
