-- entasis is what callers use, entasis_internal is how it works, entasis_migrations is yoyo's ledger.
CREATE SCHEMA IF NOT EXISTS entasis AUTHORIZATION entasis_owner;
CREATE SCHEMA IF NOT EXISTS entasis_internal AUTHORIZATION entasis_owner;
CREATE SCHEMA IF NOT EXISTS entasis_migrations AUTHORIZATION entasis_owner;
