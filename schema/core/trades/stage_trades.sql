CREATE OR REPLACE FUNCTION entasis.stage_trades() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
AS $$
BEGIN
    -- No constraints: rows that market_data would refuse are staged too, and checked afterwards.
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_staged_trades (
        line bigint NOT NULL,
        symbol text COLLATE "C" NOT NULL,
        exchange text COLLATE "C" NOT NULL,
        "timestamp" timestamptz NOT NULL,
        id bigint NOT NULL,
        price numeric NOT NULL,
        volume numeric NOT NULL,
        side text COLLATE "C"
    ) ON COMMIT DELETE ROWS;
    DELETE FROM pg_temp.entasis_staged_trades;
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_staged_units (
        symbol text COLLATE "C" NOT NULL,
        exchange text COLLATE "C" NOT NULL,
        time_unit text NOT NULL,
        PRIMARY KEY (symbol, exchange)
    ) ON COMMIT DELETE ROWS;
    DELETE FROM pg_temp.entasis_staged_units;
END
$$;

COMMENT ON FUNCTION entasis.stage_trades IS
'Creates the session''s empty staging table pg_temp.entasis_staged_trades (line, symbol, exchange, timestamp, id, price, volume, side). Only side may be NULL. COPY into it, then call insert_staged_trades() in the same transaction. Also creates pg_temp.entasis_staged_units (symbol, exchange, time_unit): the unit (s, ms, us) in which the source states the times of a market, which may be left out.';
