-- Archives, restores, and the partitions that maintenance has found.
-- depends: 0006.portfolio

SET LOCAL ROLE entasis_owner;

-- These rows decide what may be dropped: only the functions of schema/core/archive write them.
CREATE TABLE IF NOT EXISTS entasis.archives (
    id bigint GENERATED ALWAYS AS IDENTITY,
    relation text NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    version uuid NOT NULL DEFAULT gen_random_uuid(),
    location text NOT NULL,
    row_count bigint,
    checksum numeric,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    verified_at timestamptz,
    stale_at timestamptz,
    superseded_at timestamptz,
    dropped_at timestamptz,
    CONSTRAINT archives_pkey PRIMARY KEY (id),
    CONSTRAINT archives_relation_fkey FOREIGN KEY (relation) REFERENCES entasis.keep_periods (
        relation
    ),
    CONSTRAINT archives_bounds_sane CHECK (
        from_time < to_time AND isfinite(from_time) AND isfinite(to_time)
    ),
    CONSTRAINT archives_verified_content CHECK (
        num_nulls(row_count, checksum) IN (0, 2) AND row_count >= 0
        AND (verified_at IS NULL OR row_count IS NOT NULL)
    ),
    CONSTRAINT archives_verified_first CHECK (
        verified_at IS NOT NULL OR num_nonnulls(stale_at, superseded_at, dropped_at) = 0
    )
);

-- at most one current archive of a range
CREATE UNIQUE INDEX IF NOT EXISTS archives_current
ON entasis.archives (relation, from_time, to_time)
WHERE verified_at IS NOT NULL AND superseded_at IS NULL;

CREATE TABLE IF NOT EXISTS entasis.archive_objects (
    archive_id bigint NOT NULL,
    part integer NOT NULL,
    key text NOT NULL,
    bytes bigint NOT NULL,
    row_count bigint NOT NULL,
    sha256 text NOT NULL,
    CONSTRAINT archive_objects_pkey PRIMARY KEY (archive_id, part),
    CONSTRAINT archive_objects_key_once UNIQUE (key),
    CONSTRAINT archive_objects_archive_id_fkey FOREIGN KEY (archive_id)
    REFERENCES entasis.archives (id) ON DELETE CASCADE,
    CONSTRAINT archive_objects_not_empty CHECK (bytes > 0 AND row_count > 0),
    CONSTRAINT archive_objects_sha256_whole CHECK (sha256 ~ '^[0-9a-f]{64}$')
);

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

-- A partition that is dropped by hand leaves no trace in the catalog; its row here stays.
CREATE TABLE IF NOT EXISTS entasis_internal.known_partitions (
    relation text NOT NULL,
    partition_name name NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT known_partitions_pkey PRIMARY KEY (relation, from_time, to_time)
);
