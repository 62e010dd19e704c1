-- session_user, not current_user, which SET ROLE and SECURITY DEFINER change. A login that is mapped to a
-- user is that user, whatever it sets; only a trusted service may name the user that it acts for.
CREATE OR REPLACE FUNCTION entasis.acting_user_id() RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT
        coalesce(
            (
                SELECT l.user_id FROM entasis.user_logins AS l
                WHERE l.login = session_user
            ),
            CASE
                WHEN pg_has_role(session_user, 'entasis_service', 'MEMBER')
                    THEN nullif(current_setting('entasis.user_id', true), '')::uuid
            END
        );
END;

COMMENT ON FUNCTION entasis.acting_user_id IS
'The user whose positions this session may read and write: the one that its login is mapped to in user_logins; otherwise, for members of entasis_service only, the one named by SET LOCAL entasis.user_id. NULL: no user.';
