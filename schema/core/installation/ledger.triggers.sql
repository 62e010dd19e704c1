-- There are no down migrations, and yoyo would take a migration without one for rolled back.
CREATE OR REPLACE TRIGGER refuse_rollback
BEFORE DELETE OR UPDATE OR TRUNCATE ON entasis_migrations._yoyo_migration
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_rollback();

CREATE OR REPLACE TRIGGER refuse_rollback
BEFORE DELETE OR UPDATE OR TRUNCATE ON entasis_migrations.checksums
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_rollback();
