CREATE OR REPLACE FUNCTION entasis_internal.copy_floor_to_shards() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO entasis_internal.shard_floors AS s (relation, floor)
    VALUES (new.relation, new.floor)
    ON CONFLICT (relation) DO UPDATE SET floor = excluded.floor;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_floor_to_shards IS
'Trigger of floors: writes the floor to the copy that triggers on shards read.';

CREATE OR REPLACE FUNCTION entasis_internal.copy_reopened_to_shards() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF tg_op IN ('UPDATE', 'DELETE') THEN
        DELETE FROM entasis_internal.shard_reopened AS s
        WHERE s.relation = old.relation AND s.symbol IS NOT DISTINCT FROM old.symbol
            AND s.exchange IS NOT DISTINCT FROM old.exchange
            AND s.from_time = old.from_time AND s.to_time = old.to_time;
    END IF;
    IF tg_op IN ('INSERT', 'UPDATE') AND new.opened_at IS NOT NULL THEN
        INSERT INTO entasis_internal.shard_reopened (relation, symbol, exchange, from_time, to_time)
        VALUES (new.relation, new.symbol, new.exchange, new.from_time, new.to_time);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_reopened_to_shards IS
'Trigger of reopened: writes ranges that are open for writers to the copy that triggers on shards read.';

CREATE OR REPLACE FUNCTION entasis_internal.copy_restored_to_shards() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF tg_op IN ('UPDATE', 'DELETE') THEN
        DELETE FROM entasis_internal.shard_restored AS s
        WHERE s.relation = old.relation AND s.from_time = old.from_time AND s.to_time = old.to_time;
    END IF;
    IF tg_op IN ('INSERT', 'UPDATE') AND new.attached_at IS NOT NULL THEN
        INSERT INTO entasis_internal.shard_restored (relation, from_time, to_time)
        VALUES (new.relation, new.from_time, new.to_time)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_restored_to_shards IS
'Trigger of restores: writes ranges that are attached again to the copy that is read on shards.';

-- After rows came without triggers, as a portable dump's do.
CREATE OR REPLACE FUNCTION entasis_internal.copy_all_to_shards() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    stored record;
BEGIN
    DELETE FROM entasis_internal.shard_floors AS s WHERE true;
    DELETE FROM entasis_internal.shard_reopened AS s WHERE true;
    DELETE FROM entasis_internal.shard_restored AS s WHERE true;
    FOR stored IN SELECT f.relation, f.floor FROM entasis.floors AS f LOOP
        INSERT INTO entasis_internal.shard_floors (relation, floor)
        VALUES (stored.relation, stored.floor);
    END LOOP;
    FOR stored IN SELECT r.* FROM entasis.reopened AS r WHERE r.opened_at IS NOT NULL LOOP
        INSERT INTO entasis_internal.shard_reopened (relation, symbol, exchange, from_time, to_time)
        VALUES (stored.relation, stored.symbol, stored.exchange, stored.from_time, stored.to_time);
    END LOOP;
    FOR stored IN SELECT r.* FROM entasis.restores AS r WHERE r.attached_at IS NOT NULL LOOP
        INSERT INTO entasis_internal.shard_restored (relation, from_time, to_time)
        VALUES (stored.relation, stored.from_time, stored.to_time);
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.copy_all_to_shards IS
'Writes the copies of floors, reopened and restores on every node anew.';

CREATE OR REPLACE TRIGGER copy_to_shards AFTER INSERT OR UPDATE ON entasis.floors
FOR EACH ROW EXECUTE FUNCTION entasis_internal.copy_floor_to_shards();

CREATE OR REPLACE TRIGGER copy_to_shards AFTER INSERT OR UPDATE OR DELETE ON entasis.reopened
FOR EACH ROW EXECUTE FUNCTION entasis_internal.copy_reopened_to_shards();

CREATE OR REPLACE TRIGGER copy_to_shards AFTER INSERT OR UPDATE OR DELETE ON entasis.restores
FOR EACH ROW EXECUTE FUNCTION entasis_internal.copy_restored_to_shards();
