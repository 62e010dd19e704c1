CREATE OR REPLACE FUNCTION entasis_internal.copy_stored_options() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
AS $$
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_stored_options (LIKE entasis.option_data)
    ON COMMIT DROP;
    DELETE FROM pg_temp.entasis_stored_options;
    INSERT INTO pg_temp.entasis_stored_options
    SELECT d.* FROM entasis.option_data AS d
    INNER JOIN (
        SELECT DISTINCT s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp
        FROM pg_temp.entasis_staged_options AS s
    ) AS s
        ON d.underlying = s.underlying AND d.expiry_date = s.expiry_date
        AND d.strike_price = s.strike_price AND d.option_type = s.option_type
        AND d.timestamp = s.timestamp;
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_stored_options IS
'Copies into pg_temp.entasis_stored_options the quotes that are stored of the contracts and timestamps that are staged, as copy_stored_trades() does with trades.';
