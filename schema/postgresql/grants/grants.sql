-- called by the administrator's procedures of this engine
GRANT EXECUTE ON FUNCTION
entasis_internal.make_partitions_ahead,
entasis_internal.analyze_partitioned,
entasis_internal.rebuild_market_day,
entasis_internal.reopen_market_day,
entasis_internal.known_markets,
entasis_internal.days_of_market
TO entasis_admin;
