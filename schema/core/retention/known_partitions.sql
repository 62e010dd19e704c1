-- A partition that is dropped by hand leaves no trace in the catalog; its row here stays.
CREATE TABLE IF NOT EXISTS entasis_internal.known_partitions (
    relation text NOT NULL,
    partition_name name NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT known_partitions_pkey PRIMARY KEY (relation, from_time, to_time)
);
