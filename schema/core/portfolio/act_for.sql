CREATE OR REPLACE FUNCTION entasis.act_for(acting_user uuid) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    former CONSTANT text := current_setting('entasis.user_id', true);
    acts_for uuid;
BEGIN
    IF acting_user IS NULL THEN
        RAISE EXCEPTION 'the user to act for is NULL' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    PERFORM set_config('entasis.user_id', acting_user::text, true);
    acts_for := entasis.acting_user_id();
    IF acts_for IS NULL THEN
        RAISE EXCEPTION 'login "%" cannot act for a user: it is no member of entasis_service',
            session_user
            USING ERRCODE = 'insufficient_privilege',
                HINT = 'GRANT entasis_service to a service that keeps its users apart itself; map a'
                ' login that is a user''s own in entasis.user_logins.';
    ELSIF acts_for <> acting_user THEN
        RAISE EXCEPTION 'login "%" is mapped to user %, and cannot act for %',
            session_user, acts_for, acting_user
            USING ERRCODE = 'insufficient_privilege',
                HINT = 'entasis.user_logins maps it. A login that acts for many users is mapped to none.';
    END IF;
    RETURN former;
END
$$;

COMMENT ON FUNCTION entasis.act_for IS
'Has the session act for a user until the transaction ends, as SET LOCAL entasis.user_id does, and raises insufficient_privilege if it cannot: its login is mapped to another user, or to none and is no member of entasis_service. Returns the former setting. Releasing a savepoint does not take it back, rolling back to one does.';
