COMMENT ON TABLE entasis_internal.cache_channel IS
'The channel on which caches are notified; one row.';
COMMENT ON COLUMN entasis_internal.cache_channel.only_row IS
'Always true, so that there is one row.';
COMMENT ON COLUMN entasis_internal.cache_channel.name IS
'Name of the channel, random for each installation.';
