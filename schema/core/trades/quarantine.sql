CREATE TABLE IF NOT EXISTS entasis.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY,
    relation text NOT NULL,
    source text NOT NULL,
    line bigint NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    payload jsonb NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT current_timestamp,
    CONSTRAINT quarantine_pkey PRIMARY KEY (id)
);

-- The same row of the same source, refused for the same reason, is stored once, however often its file is
-- loaded. Indexed by its digest, because a payload may be larger than an index entry.
CREATE UNIQUE INDEX IF NOT EXISTS quarantine_once
ON entasis.quarantine (relation, source, line, code, md5(payload::text));

-- how many came in the last day, and why, is asked every minute
CREATE INDEX IF NOT EXISTS idx_quarantine_quarantined_at ON entasis.quarantine (quarantined_at);
