-- TimescaleDB's statistics record how a job ended, not what it did: with some pairs of versions every job
-- that commits ends as failed although its changes are committed (entasis_db/engine.py lists them).
CREATE TABLE IF NOT EXISTS entasis_internal.last_refresh (
    only_row boolean NOT NULL DEFAULT true,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    CONSTRAINT last_refresh_pkey PRIMARY KEY (only_row),
    CONSTRAINT last_refresh_only_row CHECK (only_row)
);
