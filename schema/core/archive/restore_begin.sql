-- What an interrupted restore of the same range left is dropped and filled again.
CREATE OR REPLACE FUNCTION entasis_internal.restore_begin(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS name
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    wanted name := replace(format('%s_restored_%s_%s', relation_name,
        to_char(from_time, 'YYYYMMDD"t"HH24MISS'), to_char(to_time, 'YYYYMMDD"t"HH24MISS')
    ), 't000000', '');
BEGIN
    -- such a name does not tell parts of a second apart
    IF date_trunc('second', from_time) <> from_time OR date_trunc('second', to_time) <> to_time THEN
        wanted := format('%s_restored_%s', relation_name,
            left(encode(sha256(convert_to(
                format('%s %s', extract(EPOCH FROM from_time), extract(EPOCH FROM to_time)), 'UTF8'
            )), 'hex'), 24)
        );
    END IF;
    IF NOT EXISTS (SELECT FROM entasis.floors AS f WHERE f.relation = relation_name) THEN
        RAISE EXCEPTION '% is not a partitioned relation of Entasis DB', relation_name
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (
        SELECT FROM entasis.restores AS r WHERE r.table_name = wanted AND r.verified_at IS NULL
    ) THEN
        EXECUTE format('DROP TABLE IF EXISTS entasis.%I', wanted);
        DELETE FROM entasis.restores AS r WHERE r.table_name = wanted;
    END IF;
    -- once attached, it is where partitions are
    IF
        to_regclass(format('entasis.%I', wanted)) IS NOT NULL
        OR to_regclass(format('entasis_internal.%I', wanted)) IS NOT NULL
    THEN
        RAISE EXCEPTION '% exists: this range was restored before', wanted
        USING ERRCODE = 'duplicate_table',
            HINT = format('Use it, or: SELECT entasis.drop_restored(%L)', wanted);
    END IF;
    -- left by a table that its owner dropped by hand
    DELETE FROM entasis.restores AS r WHERE r.table_name = wanted;
    EXECUTE format(
        'CREATE TABLE entasis.%I (LIKE entasis.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMMENTS)',
        wanted, relation_name
    );
    EXECUTE format('ALTER TABLE entasis.%I OWNER TO entasis_owner', wanted);
    EXECUTE format('GRANT INSERT ON entasis.%I TO entasis_admin', wanted);
    EXECUTE format('COMMENT ON TABLE entasis.%I IS %L', wanted,
        format('Restored from the archive of entasis.%s: [%s, %s) UTC.',
            relation_name, from_time, to_time));
    INSERT INTO entasis.restores (table_name, relation, from_time, to_time)
    VALUES (wanted, relation_name, from_time, to_time);
    RETURN wanted;
END
$$;

COMMENT ON FUNCTION entasis_internal.restore_begin IS
'Creates the table that a range is restored into, and returns its name. Administrators may insert into it until it is verified. Raises duplicate_table if the range has been restored already.';
