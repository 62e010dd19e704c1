-- There are no down migrations, and yoyo would mark a migration that has none as rolled back.
CREATE OR REPLACE TRIGGER refuse_rollback
BEFORE DELETE OR UPDATE OR TRUNCATE ON entasis_migrations._yoyo_migration
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_rollback();

CREATE OR REPLACE TRIGGER refuse_rollback
BEFORE DELETE OR UPDATE OR TRUNCATE ON entasis_migrations.checksums
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_rollback();
