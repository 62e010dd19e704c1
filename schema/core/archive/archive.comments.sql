COMMENT ON TABLE entasis.archives IS
'The manifest: which range of which relation is archived, one row a version of a range. Only the functions that archive and drop write it, because the guard believes it.';
COMMENT ON COLUMN entasis.archives.id IS
'Number of the archive.';
COMMENT ON COLUMN entasis.archives.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.archives.from_time IS
'First moment of the range, included; UTC.';
COMMENT ON COLUMN entasis.archives.to_time IS
'First moment after the range; UTC.';
COMMENT ON COLUMN entasis.archives.version IS
'Stands in the keys of its objects: no key is ever written twice.';
COMMENT ON COLUMN entasis.archives.location IS
'The store that it was written to, as a URL without options and without credentials.';
COMMENT ON COLUMN entasis.archives.row_count IS
'Rows in all its objects. NULL: not verified yet.';
COMMENT ON COLUMN entasis.archives.checksum IS
'Of the content, as entasis_internal.count_and_checksum() reckons it: it depends neither on the order of rows nor on trailing zeros. NULL: not verified yet.';
COMMENT ON COLUMN entasis.archives.written_at IS
'When its writing was begun; UTC.';
COMMENT ON COLUMN entasis.archives.verified_at IS
'When its objects, read back from the store, were found to hold exactly the rows of the range; UTC. NULL: they were not; the next run removes it.';
COMMENT ON COLUMN entasis.archives.stale_at IS
'When the rows of the range were found to be others; UTC. NULL: they were not.';
COMMENT ON COLUMN entasis.archives.superseded_at IS
'When a newer archive of the range took its place; UTC. The next run removes it. NULL: it counts.';
COMMENT ON COLUMN entasis.archives.dropped_at IS
'When the range was last dropped from the database; UTC. NULL: it was not.';

COMMENT ON TABLE entasis.archive_objects IS
'The objects of each archive.';
COMMENT ON COLUMN entasis.archive_objects.archive_id IS
'The archive that it belongs to.';
COMMENT ON COLUMN entasis.archive_objects.part IS
'Its place among the objects of its archive, from 0.';
COMMENT ON COLUMN entasis.archive_objects.key IS
'Its key below the location of its archive.';
COMMENT ON COLUMN entasis.archive_objects.bytes IS
'Its size in bytes.';
COMMENT ON COLUMN entasis.archive_objects.row_count IS
'Its rows.';
COMMENT ON COLUMN entasis.archive_objects.sha256 IS
'SHA-256 of its bytes, in hexadecimal digits.';

COMMENT ON TABLE entasis.restores IS
'Ranges that were brought back from the archive, one row a table.';
COMMENT ON COLUMN entasis.restores.table_name IS
'Table of schema entasis that holds the rows, or once did: a row outlives a table that its owner dropped.';
COMMENT ON COLUMN entasis.restores.relation IS
'Relation whose rows they are.';
COMMENT ON COLUMN entasis.restores.from_time IS
'First moment of the range, included; UTC.';
COMMENT ON COLUMN entasis.restores.to_time IS
'First moment after the range; UTC.';
COMMENT ON COLUMN entasis.restores.begun_at IS
'When it was begun; UTC.';
COMMENT ON COLUMN entasis.restores.row_count IS
'Rows restored. NULL: not verified.';
COMMENT ON COLUMN entasis.restores.checksum IS
'Of the content, as in entasis.archives. NULL: not verified.';
COMMENT ON COLUMN entasis.restores.verified_at IS
'When the table was found to hold exactly what the archive does; UTC. NULL: it is being filled, or its filling was cut short.';
COMMENT ON COLUMN entasis.restores.attached_at IS
'When it became a part of its relation again; UTC. NULL: it lies beside it.';
COMMENT ON COLUMN entasis.restores.held_until IS
'Up to when maintain() does not drop it again; UTC. NULL: it lies beside its relation, and nothing drops it by itself.';
