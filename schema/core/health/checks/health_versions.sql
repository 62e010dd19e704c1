-- entasis_db/engine.py has the same pairs of versions, for a server that is not migrated yet.
CREATE OR REPLACE FUNCTION entasis_internal.health_versions() RETURNS TABLE (
    check_name text, subject text, value numeric, since timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    server CONSTANT integer := current_setting('server_version_num')::integer;
    server_major CONSTANT integer := server / 10000;
    server_minor CONSTANT integer := server % 10000;
    timescaledb CONSTANT integer[] := (
        SELECT string_to_array(substring(e.extversion FROM '^\d+\.\d+\.\d+'), '.')::integer[]
        FROM pg_extension AS e WHERE e.extname = 'timescaledb'
    );
BEGIN
    RETURN QUERY
    SELECT
        'version_broken',
        format('PostgreSQL %s.%s: it crashes extensions built for others', server_major, server_minor),
        1::numeric,
        NULL::timestamptz
    -- a structure was longer in these, and ALTER DATABASE ... SET did not always hold
    FROM (VALUES (15, 9), (16, 5), (17, 1)) AS b (major, minor)
    WHERE b.major = server_major AND b.minor = server_minor
    UNION ALL
    SELECT
        'version_broken',
        format(
            'TimescaleDB %s on PostgreSQL %s.%s: every job ends as failed',
            array_to_string(timescaledb, '.'), server_major, server_minor
        ),
        1,
        NULL
    FROM (VALUES (15, 20), (16, 16), (17, 12), (18, 7)) AS b (major, first_minor)
    WHERE
        b.major = server_major AND server_minor >= b.first_minor
        AND timescaledb < CASE
            WHEN timescaledb < ARRAY[2, 28] THEN ARRAY[2, 27, 3]
            WHEN timescaledb < ARRAY[2, 29] THEN ARRAY[2, 28, 4]
            WHEN timescaledb < ARRAY[2, 32] THEN ARRAY[2, 31, 2]
            ELSE ARRAY[2, 32, 1]
        END;
END
$$;

COMMENT ON FUNCTION entasis_internal.health_versions IS
'For entasis.health: versions of PostgreSQL and TimescaleDB that are known to be broken.';
