CREATE OR REPLACE FUNCTION entasis_internal.health_nodes() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    -- as the owner, which is who the functions of this database come to the nodes as
    RETURN QUERY
    SELECT
        'node_unreachable',
        n.nodename || ':' || n.nodeport,
        (NOT (n.isactive AND coalesce(citus_check_connection_to_node(n.nodename, n.nodeport), false)))::integer::numeric,
        NULL::timestamptz
    FROM pg_dist_node AS n
    WHERE n.noderole = 'primary';
    RETURN QUERY
    SELECT 'shard_missing', s.logicalrelid::text, count(*)::numeric, NULL::timestamptz
    FROM pg_dist_shard AS s
    WHERE
        NOT EXISTS (
            SELECT FROM pg_dist_placement AS p
            INNER JOIN pg_dist_node AS n ON p.groupid = n.groupid
            WHERE p.shardid = s.shardid AND p.shardstate = 1 AND n.noderole = 'primary'
        )
    GROUP BY s.logicalrelid;
    RETURN QUERY
    SELECT
        'node_prepared_age',
        w.nodename || ':' || w.nodeport,
        -- NULL: the node did not answer
        CASE WHEN w.success THEN round(w.result::numeric, 1) END,
        NULL::timestamptz
    FROM run_command_on_workers(
        'SELECT coalesce(max(extract(EPOCH FROM now() - p.prepared)), 0)'
        ' FROM pg_prepared_xacts AS p WHERE p.database = current_database()'
    ) AS w;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_nodes IS
'For entasis.health: nodes of the cluster that cannot be reached, shards that no node has, and how long transactions have been prepared on workers.';
