COMMENT ON TABLE entasis.archives IS
'The manifest of the archive: one row for each version of an archived range. Written only by the functions that archive and drop, because whether a partition may be dropped is decided by these rows.';
COMMENT ON COLUMN entasis.archives.id IS
'Identifies the archive; from a sequence.';
COMMENT ON COLUMN entasis.archives.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.archives.from_time IS
'First moment of the range, included; UTC.';
COMMENT ON COLUMN entasis.archives.to_time IS
'First moment after the range; UTC.';
COMMENT ON COLUMN entasis.archives.version IS
'Part of the keys of its objects, so that no key is ever written twice.';
COMMENT ON COLUMN entasis.archives.location IS
'URL of the store that it was written to, without options and credentials.';
COMMENT ON COLUMN entasis.archives.row_count IS
'Number of rows that the range held in the database when it was counted; once verified, of the rows in all its objects. NULL: not counted yet.';
COMMENT ON COLUMN entasis.archives.checksum IS
'Checksum of the rows, as entasis_internal.count_and_checksum() computes it; independent of their order and of trailing zeros. NULL: not counted yet.';
COMMENT ON COLUMN entasis.archives.written_at IS
'When writing began; UTC.';
COMMENT ON COLUMN entasis.archives.verified_at IS
'When its objects were read back from the store and found to hold exactly the rows of the range; UTC. NULL: not verified; the next run removes it.';
COMMENT ON COLUMN entasis.archives.stale_at IS
'When the rows of the range were found to differ from the archive; UTC. NULL: no difference was found.';
COMMENT ON COLUMN entasis.archives.superseded_at IS
'When a newer archive of the range replaced it; UTC. The next run removes it. NULL: it is the current one.';
COMMENT ON COLUMN entasis.archives.dropped_at IS
'When the range was last dropped from the database; UTC. NULL: never.';

COMMENT ON TABLE entasis.archive_objects IS
'The objects in the store, one row each.';
COMMENT ON COLUMN entasis.archive_objects.archive_id IS
'The archive that it belongs to.';
COMMENT ON COLUMN entasis.archive_objects.part IS
'Position among the objects of its archive, from 0.';
COMMENT ON COLUMN entasis.archive_objects.key IS
'Key, relative to the location of its archive.';
COMMENT ON COLUMN entasis.archive_objects.bytes IS
'Size in bytes.';
COMMENT ON COLUMN entasis.archive_objects.row_count IS
'Number of rows.';
COMMENT ON COLUMN entasis.archive_objects.sha256 IS
'SHA-256 of its bytes, in hexadecimal digits.';

COMMENT ON TABLE entasis.restores IS
'Ranges restored from the archive, one row for each table that they were restored into.';
COMMENT ON COLUMN entasis.restores.table_name IS
'Table of schema entasis that holds the rows. The row stays when the owner drops the table by hand.';
COMMENT ON COLUMN entasis.restores.relation IS
'Relation that the rows belong to.';
COMMENT ON COLUMN entasis.restores.from_time IS
'First moment of the range, included; UTC.';
COMMENT ON COLUMN entasis.restores.to_time IS
'First moment after the range; UTC.';
COMMENT ON COLUMN entasis.restores.begun_at IS
'When the restore began; UTC.';
COMMENT ON COLUMN entasis.restores.row_count IS
'Number of restored rows. NULL: not verified yet.';
COMMENT ON COLUMN entasis.restores.checksum IS
'Checksum of the rows, as in entasis.archives. NULL: not verified yet.';
COMMENT ON COLUMN entasis.restores.verified_at IS
'When the table was found to hold exactly the archived rows; UTC. NULL: it is being filled, or filling it was interrupted.';
COMMENT ON COLUMN entasis.restores.attached_at IS
'When it was attached to its relation; UTC. NULL: it is a table beside the relation.';
COMMENT ON COLUMN entasis.restores.held_until IS
'Until when maintain() does not drop it again; UTC. NULL: it is not attached, and is dropped only by drop_restored().';
