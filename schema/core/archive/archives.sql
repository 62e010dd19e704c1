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
