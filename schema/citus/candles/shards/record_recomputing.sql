CREATE OR REPLACE FUNCTION entasis_internal.record_recomputing(symbol_name text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    shard CONSTANT text := entasis_internal.shard_of('entasis_internal.recomputing', symbol_name);
BEGIN
    EXECUTE format(
        'DELETE FROM %s AS r WHERE r.backend = pg_backend_pid() AND r.transaction_id <> pg_current_xact_id()', shard
    );
    EXECUTE format(
        'INSERT INTO %s (symbol, backend, transaction_id) VALUES ($1, pg_backend_pid(), pg_current_xact_id()) ON CONFLICT DO NOTHING', shard
    ) USING symbol_name;
END
$$;

COMMENT ON FUNCTION entasis_internal.record_recomputing IS
'Records that this transaction has recomputed candles in the shard of a symbol.';

CREATE OR REPLACE FUNCTION entasis_internal.is_recomputing(symbol_name text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_one boolean;
BEGIN
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM %s AS r WHERE r.backend = pg_backend_pid() AND r.transaction_id = pg_current_xact_id_if_assigned())',
        entasis_internal.shard_of('entasis_internal.recomputing', symbol_name)
    ) INTO found_one;
    RETURN found_one;
END
$$;

COMMENT ON FUNCTION entasis_internal.is_recomputing IS
'Whether this transaction has recomputed candles in the shard of a symbol.';
