-- As the policies do, this looks at the role that reads, which SET ROLE changes.
CREATE OR REPLACE FUNCTION entasis_internal.acting_user_or_error() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    acts_for CONSTANT uuid := entasis.acting_user_id();
BEGIN
    IF acts_for IS NULL AND NOT pg_has_role('entasis_admin', 'USAGE') THEN
        RAISE EXCEPTION 'login "%" acts for nobody, and positions are read and written for a user',
            session_user
            USING ERRCODE = 'insufficient_privilege',
                HINT = 'A member of entasis_service calls entasis.act_for(user_id) in each transaction;'
                ' in Python, acting_for() does. A login that is a user''s own is mapped to the user in'
                ' entasis.user_logins by an administrator.';
    END IF;
    RETURN acts_for;
END
$$;

COMMENT ON FUNCTION entasis_internal.acting_user_or_error IS
'What acting_user_id() returns. Where that is NULL, raises insufficient_privilege unless the current role is a member of entasis_admin.';
