-- A database just migrated takes the trades of today.
SELECT entasis_internal.make_partitions_ahead() AS partitions_made;
