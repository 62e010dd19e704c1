-- Jobs run as their owner, and entasis_owner cannot log in: see bootstrap/jobs_role.sql.
SET LOCAL ROLE entasis_jobs;

SELECT
    -- late, corrected and deleted trades show in the candles within a minute
    entasis_internal.ensure_job('refresh_job', '1 minute', NULL) AS refresh_job,
    -- after seven days few late rows are expected; compressing a chunk again is cheap
    entasis_internal.ensure_job(
        'compress_job', '6 hours', NULL, '{"compress_after": "7 days"}'
    ) AS compress_job,
    entasis_internal.ensure_job(
        'maintain_job', '1 day', date_trunc('day', now(), 'UTC') + interval '27 hours 17 minutes'
    ) AS maintain_job;

SET LOCAL ROLE entasis_owner;
