-- called by what readers, administrators and monitors may call
GRANT EXECUTE ON FUNCTION
entasis_internal.minute_closes,
entasis_internal.newest_quotes,
entasis_internal.newest_quotes_of_shard,
entasis_internal.shard_of
TO entasis_reader;

GRANT EXECUTE ON FUNCTION
entasis_internal.node_checks,
entasis_internal.health_nodes
TO entasis_monitor;

GRANT EXECUTE ON FUNCTION
entasis_internal.candle_faults_of_symbol,
entasis_internal.first_whole_day
TO entasis_admin;
