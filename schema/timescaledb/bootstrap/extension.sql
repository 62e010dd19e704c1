-- In schema public, by which schema/ qualifies its functions; entasis_db.engine has checked that an existing
-- extension is there too.
CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public;
