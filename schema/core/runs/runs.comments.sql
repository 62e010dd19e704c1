COMMENT ON TABLE entasis.runs IS
'Every run of what has to happen regularly, newest last, also of those that found nothing to do. A run that fails or dies keeps its row.';
COMMENT ON COLUMN entasis.runs.id IS
'Identifies the run; ascending.';
COMMENT ON COLUMN entasis.runs.action IS
'migrate, maintain, archive, restore (of an archive), backup, backup check, dump, restore-dump, detect (anomalies); on engine timescaledb refresh (of candles) and compress, too.';
COMMENT ON COLUMN entasis.runs.started_at IS
'When it began; UTC.';
COMMENT ON COLUMN entasis.runs.ended_at IS
'When it ended; UTC. NULL: it runs, or died.';
COMMENT ON COLUMN entasis.runs.outcome IS
'done, failed, or died: its session was gone when the next run began. NULL: it runs; or its session has died, or gone on after an error, and no other run has begun since.';
COMMENT ON COLUMN entasis.runs.detail IS
'What it did, by kind and number, and error: why it failed.';
COMMENT ON COLUMN entasis.runs.backend IS
'Process id of its session''s backend.';
COMMENT ON COLUMN entasis.runs.login IS
'OID of the role that had logged in.';
COMMENT ON INDEX entasis.idx_runs_open IS
'Runs without an end.';
COMMENT ON INDEX entasis.idx_runs_action_started IS
'The last runs of an action.';
