-- Roles belong to the cluster, not to the database: another database may be creating the same one
-- at this moment. IF NOT EXISTS does not exist for roles, and both errors below are how the loser
-- of that race learns of it.
DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'entasis_owner', 'entasis_reader', 'entasis_writer', 'entasis_admin', 'entasis_service'
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

-- Who may do more may do less. Granting what is granted already raises a notice, and two databases
-- granting it at the same moment may collide on the membership's row; so only what is missing.
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
