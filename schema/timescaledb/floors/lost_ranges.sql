-- A chunk that was dropped by hand is made again by the next late row, with the same bounds: only its name is
-- another one.
CREATE TABLE IF NOT EXISTS entasis_internal.lost_ranges (
    relation text NOT NULL,
    partition_name name NOT NULL,
    ranges tstzmultirange NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT lost_ranges_pkey PRIMARY KEY (relation, partition_name)
);
