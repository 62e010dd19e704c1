CREATE OR REPLACE FUNCTION entasis_internal.node_checks() RETURNS TABLE (
    place integer,
    check_name text,
    unit text,
    less_is_worse boolean,
    warning numeric,
    critical numeric,
    measures text,
    advice text
)
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY VALUES
    (101, 'node_unreachable', 'nodes', false, NULL::numeric, 1::numeric,
        'nodes of the cluster that do not let the owner in, or are switched off',
        'start it, or move its shards away; see pg_hba.conf there: entasis_owner has to get in'),
    (102, 'shard_missing', 'shards', false, NULL, 1,
        'shards of a relation that no node has',
        'restore the cluster from a backup'),
    (103, 'node_prepared_age', 'seconds', false, 300, 3600,
        'how long a transaction has been prepared on a worker',
        'SELECT recover_prepared_transactions() on the coordinator, and see its log');
END
$$;

COMMENT ON FUNCTION entasis_internal.node_checks IS
'What health_checks() has of the nodes of a cluster.';
