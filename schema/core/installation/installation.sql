CREATE TABLE IF NOT EXISTS entasis.installation (
    only_row boolean NOT NULL DEFAULT true,
    engine text NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT current_timestamp,
    release text,
    applied_at timestamptz,
    CONSTRAINT installation_pkey PRIMARY KEY (only_row),
    CONSTRAINT installation_only_row CHECK (only_row)
);
