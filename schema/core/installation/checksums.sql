-- yoyo identifies a migration by the name of its file. This records the text that was applied under that
-- name, in the migration's own transaction.
CREATE TABLE IF NOT EXISTS entasis_migrations.checksums (
    migration text NOT NULL,
    sha256 text NOT NULL,
    CONSTRAINT checksums_pkey PRIMARY KEY (migration),
    CONSTRAINT checksums_sha256_hexadecimal CHECK (sha256 ~ '^[0-9a-f]{64}$')
);
