-- The engine is recorded before anything of its own exists.
-- depends: 0001.foundation

SET LOCAL ROLE entasis_owner;

INSERT INTO entasis.installation (engine) VALUES ('citus')
ON CONFLICT (only_row) DO NOTHING;
