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
