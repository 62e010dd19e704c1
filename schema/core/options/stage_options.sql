CREATE OR REPLACE FUNCTION entasis.stage_options() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
AS $$
BEGIN
    -- No constraints: rows that option_data would refuse are staged too, and checked afterwards.
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_staged_options (
        line bigint NOT NULL,
        underlying text COLLATE "C" NOT NULL,
        strike_price numeric NOT NULL,
        expiry_date timestamptz NOT NULL,
        option_type text COLLATE "C" NOT NULL,
        "timestamp" timestamptz NOT NULL,
        id bigint,
        iv numeric,
        delta numeric,
        gamma numeric,
        theta numeric,
        vega numeric,
        bid_price numeric,
        ask_price numeric,
        mark_price numeric,
        bid_iv numeric,
        ask_iv numeric,
        underlying_price numeric,
        open_interest numeric,
        rho numeric,
        unnumbered boolean NOT NULL DEFAULT false
    ) ON COMMIT DELETE ROWS;
    DELETE FROM pg_temp.entasis_staged_options;
END
$$;

COMMENT ON FUNCTION entasis.stage_options IS
'Creates the session''s empty staging table pg_temp.entasis_staged_options (line, and the columns of option_data). An id that is NULL is given by insert_staged_options(): the source has none. COPY into it, then call insert_staged_options() in the same transaction.';
