CREATE TABLE IF NOT EXISTS entasis.runs (
    id bigint GENERATED ALWAYS AS IDENTITY,
    action text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    outcome text,
    detail jsonb NOT NULL DEFAULT '{}',
    backend integer NOT NULL DEFAULT pg_backend_pid(),
    login oid NOT NULL,
    CONSTRAINT runs_pkey PRIMARY KEY (id),
    CONSTRAINT runs_action_known CHECK (
        action IN (
            'migrate', 'maintain', 'archive', 'restore', 'refresh', 'compress',
            'backup', 'backup check', 'dump', 'restore-dump', 'detect'
        )
    ),
    CONSTRAINT runs_outcome_known CHECK (outcome IN ('done', 'failed', 'died')),
    CONSTRAINT runs_end_after_start CHECK (ended_at >= started_at),
    CONSTRAINT runs_detail_is_object CHECK (jsonb_typeof(detail) = 'object')
);
-- what has no end yet is looked for at every beginning
CREATE INDEX IF NOT EXISTS idx_runs_open ON entasis.runs (action)
WHERE outcome IS NULL; -- noqa: CP04
CREATE INDEX IF NOT EXISTS idx_runs_action_started ON entasis.runs (action, started_at DESC);
