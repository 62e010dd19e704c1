-- As in fill_stored_trades(), one statement for each market and hour, limited by constants: a DELETE decompresses all
-- batches that they do not rule out.
CREATE OR REPLACE FUNCTION entasis_internal.delete_replaced_trades() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_custom_plan'
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
    piece record;
    count_of_piece bigint;
    deleted bigint := 0;
    limit_before text
        := current_setting('timescaledb.max_tuples_decompressed_per_dml_transaction');
BEGIN
    PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);
    FOR piece IN
        SELECT r.symbol, r.exchange, min(r.timestamp) AS first_time, max(r.timestamp) AS last_time
        FROM pg_temp.entasis_replaced_trades AS r
        WHERE NOT r.is_same
        GROUP BY r.symbol, r.exchange, date_bin('1 hour', r.timestamp, '2000-01-01 00:00:00+00')
        ORDER BY r.symbol, r.exchange, min(r.timestamp)
    LOOP
        DELETE FROM entasis.market_data AS d
        USING pg_temp.entasis_replaced_trades AS r
        WHERE d.symbol = piece.symbol AND d.exchange = piece.exchange
            AND d.timestamp BETWEEN piece.first_time AND piece.last_time
            AND r.symbol = piece.symbol AND r.exchange = piece.exchange
            AND r.timestamp BETWEEN piece.first_time AND piece.last_time
            AND d.timestamp = r.timestamp AND d.id = r.id AND NOT r.is_same;
        GET DIAGNOSTICS count_of_piece = ROW_COUNT;
        deleted := deleted + count_of_piece;
    END LOOP;
    PERFORM set_config(
        'timescaledb.max_tuples_decompressed_per_dml_transaction', limit_before, true
    );
    RETURN deleted;
END
$$;

COMMENT ON FUNCTION entasis_internal.delete_replaced_trades IS
'Deletes the trades of pg_temp.entasis_replaced_trades that are not stored as they are staged. Returns how many.';
