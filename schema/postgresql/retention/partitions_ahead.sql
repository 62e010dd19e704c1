-- so that a new database can store today's trades
SELECT entasis_internal.make_partitions_ahead(0) AS partitions_made;
