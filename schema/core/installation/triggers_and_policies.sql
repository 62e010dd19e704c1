-- What was switched off by hand, or by a restore that did not come to its end.
DO $state$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT t.tgrelid::regclass AS relation, t.tgname
        FROM pg_catalog.pg_trigger AS t
        INNER JOIN pg_catalog.pg_proc AS p ON t.tgfoid = p.oid
        INNER JOIN pg_catalog.pg_class AS c ON t.tgrelid = c.oid
        WHERE
            NOT t.tgisinternal AND t.tgenabled <> 'O'
            AND p.pronamespace = 'entasis_internal'::regnamespace
            AND c.relowner = 'entasis_owner'::regrole
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', found.relation, found.tgname);
    END LOOP;
    -- each policy more would show more
    FOR found IN
        SELECT l.polrelid::regclass AS relation, l.polname
        FROM pg_catalog.pg_policy AS l
        WHERE l.polrelid = 'entasis.portfolio_status'::regclass
            AND l.polname NOT IN ('own_positions', 'all_positions')
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', found.polname, found.relation);
    END LOOP;
    -- forced, it would bind the functions that run as the table's owner
    IF (
        SELECT NOT c.relrowsecurity OR c.relforcerowsecurity FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'entasis.portfolio_status'::regclass
    ) THEN
        ALTER TABLE entasis.portfolio_status ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
    END IF;
END
$state$;
