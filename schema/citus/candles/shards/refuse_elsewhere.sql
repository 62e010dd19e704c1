CREATE OR REPLACE FUNCTION entasis_internal.refuse_elsewhere(symbol_name text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass(entasis_internal.shard_of('entasis.market_data', symbol_name)) IS NULL THEN
        RAISE EXCEPTION 'trades of % are on another node, and Citus did not send the call there', symbol_name
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Open a new session: after an error in planning, a session sends no more functions to nodes.';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_elsewhere IS
'Raises object_not_in_prerequisite_state where this node does not have the symbol, which is where Citus did not delegate a call.';
