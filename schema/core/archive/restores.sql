CREATE TABLE IF NOT EXISTS entasis.restores (
    table_name name NOT NULL,
    relation text NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    row_count bigint,
    checksum numeric,
    verified_at timestamptz,
    attached_at timestamptz,
    held_until timestamptz,
    CONSTRAINT restores_pkey PRIMARY KEY (table_name),
    CONSTRAINT restores_relation_fkey FOREIGN KEY (relation) REFERENCES entasis.keep_periods (
        relation
    ),
    CONSTRAINT restores_bounds_sane CHECK (
        from_time < to_time AND isfinite(from_time) AND isfinite(to_time)
    ),
    CONSTRAINT restores_verified_content CHECK (
        num_nulls(verified_at, row_count, checksum) IN (0, 3)
    ),
    CONSTRAINT restores_attached_verified CHECK (
        num_nulls(attached_at, held_until) = 2
        OR (num_nulls(attached_at, held_until) = 0 AND verified_at IS NOT NULL)
    )
);
