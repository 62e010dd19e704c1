CREATE OR REPLACE FUNCTION entasis_internal.copy_trades_to_replace(
    symbol_name text,
    exchange_name text,
    first_id bigint,
    last_id bigint,
    from_time timestamptz,
    to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM entasis_internal.make_stored_trades();
    INSERT INTO pg_temp.entasis_stored_trades
    SELECT d.* FROM entasis.market_data AS d
    WHERE d.symbol = symbol_name AND d.exchange = exchange_name
        AND (
            (
                d.timestamp >= copy_trades_to_replace.from_time
                AND d.timestamp < copy_trades_to_replace.to_time
            )
            OR d.id BETWEEN copy_trades_to_replace.first_id AND copy_trades_to_replace.last_id
        );
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_trades_to_replace IS
'Copies into pg_temp.entasis_stored_trades the trades of a market in [from_time, to_time), and those with ids from first_id to last_id (NULL: none).';
