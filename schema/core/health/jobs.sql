CREATE OR REPLACE VIEW entasis.jobs WITH (security_invoker = true) AS
SELECT
    r.job,
    r.run_every,
    r.scheduled,
    r.last_started_at,
    r.last_succeeded_at,
    r.last_failed_at,
    r.last_error,
    r.failing
FROM entasis_internal.job_runs() AS r;

COMMENT ON VIEW entasis.jobs IS
'The jobs that the database''s own scheduler runs for Entasis DB, and how they last ended. No rows where a scheduler outside the database runs them.';
COMMENT ON COLUMN entasis.jobs.job IS
'Procedure of schema entasis_internal that the job calls.';
COMMENT ON COLUMN entasis.jobs.run_every IS
'Time from the beginning of one run to that of the next. NULL: the job is gone; entasis migrate makes it anew.';
COMMENT ON COLUMN entasis.jobs.scheduled IS
'False: paused, or gone.';
COMMENT ON COLUMN entasis.jobs.last_started_at IS
'When its last run began; UTC. NULL: it never ran.';
COMMENT ON COLUMN entasis.jobs.last_succeeded_at IS
'When a run last ended without an error; UTC. NULL: none did.';
COMMENT ON COLUMN entasis.jobs.last_failed_at IS
'When a run last ended with an error, as far as the scheduler''s history reaches; UTC. NULL: none did.';
COMMENT ON COLUMN entasis.jobs.last_error IS
'The error of that run, with its SQLSTATE, or that it was not started. NULL: none.';
COMMENT ON COLUMN entasis.jobs.failing IS
'Whether the last run ended with an error, or the next should have begun more than an hour ago.';
