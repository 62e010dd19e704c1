-- What is read on shards of entasis.floors, entasis.reopened and entasis.restores, which are the coordinator's: copies on every node,
-- written by triggers of those tables.
CREATE TABLE IF NOT EXISTS entasis_internal.shard_floors (
    relation text NOT NULL,
    floor timestamptz NOT NULL,
    CONSTRAINT shard_floors_pkey PRIMARY KEY (relation)
);

CREATE TABLE IF NOT EXISTS entasis_internal.shard_reopened (
    relation text NOT NULL,
    symbol text COLLATE "C",
    exchange text COLLATE "C",
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    CONSTRAINT shard_reopened_once UNIQUE NULLS NOT DISTINCT (
        relation, symbol, exchange, from_time, to_time
    )
);

CREATE TABLE IF NOT EXISTS entasis_internal.shard_restored (
    relation text NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    CONSTRAINT shard_restored_pkey PRIMARY KEY (relation, from_time, to_time)
);

-- Once a table is a reference table it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
DECLARE
    wanted regclass;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'entasis_internal.shard_floors'::regclass, 'entasis_internal.shard_reopened'::regclass,
        'entasis_internal.shard_restored'::regclass
    ] LOOP
        IF NOT EXISTS (
            SELECT FROM pg_dist_partition AS p WHERE p.logicalrelid = wanted
        ) THEN
            PERFORM create_reference_table(wanted);
        END IF;
    END LOOP;
END
$distribute$;

INSERT INTO entasis_internal.shard_floors (relation, floor)
SELECT
    f.relation,
    f.floor
FROM entasis.floors AS f
ON CONFLICT (relation) DO NOTHING;
