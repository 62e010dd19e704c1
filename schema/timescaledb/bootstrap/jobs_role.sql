-- A job runs as its owner, which must be able to log in; entasis_owner must not. So the jobs have an owner of
-- their own, as which no client can connect: CONNECTION LIMIT 0 does not apply to background workers.
-- core/bootstrap/roles.sql explains each step.
DO $role$
BEGIN
    IF to_regrole('entasis_jobs') IS NULL THEN
        BEGIN
            CREATE ROLE entasis_jobs LOGIN PASSWORD NULL CONNECTION LIMIT 0;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
END
$role$;

DO $comments$
DECLARE
    meaning text := 'Entasis DB: owns the jobs of TimescaleDB''s scheduler. No client can log in as it.';
BEGIN
    IF shobj_description(to_regrole('entasis_jobs'), 'pg_authid') IS DISTINCT FROM meaning THEN
        EXECUTE format('COMMENT ON ROLE entasis_jobs IS %L', meaning);
    END IF;
EXCEPTION WHEN insufficient_privilege OR unique_violation OR internal_error THEN
    NULL;
END
$comments$;

DO $members$
DECLARE
    pair record;
BEGIN
    FOR pair IN
        SELECT
            w.granted,
            w.member
        FROM (VALUES
            ('entasis_owner', 'entasis_jobs'),
            -- the login that migrates adds the jobs as their owner
            ('entasis_jobs', session_user::text)
        ) AS w (granted, member)
        INNER JOIN pg_catalog.pg_roles AS m ON m.rolname = w.member
        WHERE
            NOT m.rolsuper
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_auth_members AS a
                WHERE a.roleid = to_regrole(w.granted) AND a.member = m.oid
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
