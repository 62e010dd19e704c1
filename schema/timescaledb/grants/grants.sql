-- called by the administrator's procedures of this engine
GRANT EXECUTE ON FUNCTION
entasis_internal.refresh_windows,
entasis_internal.record_stored_markets
TO entasis_admin;
GRANT SELECT ON entasis_internal.last_refresh, entasis_internal.lost_ranges TO entasis_admin;
GRANT EXECUTE ON PROCEDURE entasis_internal.await_refresh TO entasis_admin;
-- called by partitions_of() with its caller's rights
GRANT EXECUTE ON FUNCTION entasis_internal.hypertable_of TO entasis_reader, entasis_monitor;
-- read in the WHEN clause of a trigger, with the rights of who deletes
GRANT SELECT ON SEQUENCE entasis_internal.row_notifications_left TO entasis_writer;
