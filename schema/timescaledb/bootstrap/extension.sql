-- In public, because what is in schema/ calls it there by its full name. entasis_db.engine has
-- made sure that one that is there already is so too.
CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public;
