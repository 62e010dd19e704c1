-- entasis is the public interface, entasis_internal its implementation, entasis_migrations yoyo's ledger.
CREATE SCHEMA IF NOT EXISTS entasis AUTHORIZATION entasis_owner;
CREATE SCHEMA IF NOT EXISTS entasis_internal AUTHORIZATION entasis_owner;
CREATE SCHEMA IF NOT EXISTS entasis_migrations AUTHORIZATION entasis_owner;
