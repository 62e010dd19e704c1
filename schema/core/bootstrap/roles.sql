-- Roles belong to the cluster, and a migration of another database may be creating the same one at this
-- moment. CREATE ROLE has no IF NOT EXISTS; the session that loses the race gets one of the two errors
-- below.
DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'entasis_owner', 'entasis_reader', 'entasis_writer', 'entasis_admin', 'entasis_service',
        'entasis_monitor'
    ] LOOP
        IF to_regrole(wanted) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END
$roles$;

-- Comments of roles belong to the cluster, too. Where another login has made the roles, this one may not comment on them,
-- and another database's migration may do so at this moment: what they say already is left alone.
DO $comments$
DECLARE
    described record;
BEGIN
    FOR described IN
        SELECT
            w.name,
            w.meaning
        FROM (VALUES
            ('entasis_owner', 'Entasis DB: owns what its migrations make. For migrations, and to detach partitions.'),
            ('entasis_reader', 'Entasis DB: reads trades, quotes, predictions and candles, and its own positions.'),
            ('entasis_writer', 'Entasis DB: reads and writes trades, quotes, predictions and its own positions; makes partitions.'),
            ('entasis_admin', 'Entasis DB: reads, writes, maintains, archives, restores, checks and rebuilds; changes keep periods.'),
            ('entasis_service', 'Entasis DB: a service that says for which user it acts. By itself it reads no position.'),
            ('entasis_monitor', 'Entasis DB: reads the health of the database and changes nothing.')
        ) AS w (name, meaning)
        WHERE shobj_description(to_regrole(w.name), 'pg_authid') IS DISTINCT FROM w.meaning
    LOOP
        BEGIN
            EXECUTE format('COMMENT ON ROLE %I IS %L', described.name, described.meaning);
        EXCEPTION WHEN insufficient_privilege OR unique_violation OR internal_error THEN
            NULL;
        END;
    END LOOP;
END
$comments$;

-- Each role includes the one before it. Only missing memberships are granted: repeating a grant raises a
-- notice, and two databases doing it at once may collide on the row of the membership.
DO $members$
DECLARE
    pair record;
BEGIN
    FOR pair IN
        SELECT
            w.granted,
            w.member
        FROM (VALUES
            ('entasis_reader', 'entasis_writer'),
            ('entasis_writer', 'entasis_admin'),
            -- the login that migrates acts as the owner; a superuser may do so anyway
            ('entasis_owner', session_user::text)
        ) AS w (granted, member)
        INNER JOIN pg_catalog.pg_roles AS m ON m.rolname = w.member
        WHERE
            NOT m.rolsuper
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_auth_members AS a
                WHERE a.roleid = to_regrole(w.granted) AND a.member = m.oid
                -- from PostgreSQL 16 on, the creator of a role has a membership that cannot act as it
                AND coalesce((to_jsonb(a) ->> 'set_option')::boolean, true)
            )
    LOOP
        BEGIN
            EXECUTE format('GRANT %I TO %I', pair.granted, pair.member);
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
    END LOOP;
END
$members$;

-- What the server shows of its sessions, files and replicas is pg_monitor's. Where this login may not grant it, migrate
-- says what to run: a superuser's GRANT.
DO $monitor$
BEGIN
    IF NOT pg_has_role('entasis_monitor', 'pg_monitor', 'MEMBER') THEN
        GRANT pg_monitor TO entasis_monitor;
    END IF;
EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
    NULL;
END
$monitor$;
