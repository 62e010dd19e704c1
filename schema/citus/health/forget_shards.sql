-- Shards come and go as they are moved and split. Where the coordinator has some, their triggers are seen there.
DELETE FROM entasis_internal.made_objects AS m
USING pg_dist_shard AS s
WHERE
    m.kind = 'trigger'
    AND m.object_name LIKE '% on ' || shard_name(s.logicalrelid, s.shardid);
