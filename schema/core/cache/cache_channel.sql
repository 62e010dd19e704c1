-- Any login may NOTIFY and LISTEN on any channel whose name it knows, so this one has a name that cannot be guessed.
CREATE TABLE IF NOT EXISTS entasis_internal.cache_channel (
    only_row boolean NOT NULL DEFAULT true,
    name text NOT NULL DEFAULT 'entasis_' || replace(gen_random_uuid()::text, '-', ''),
    CONSTRAINT cache_channel_pkey PRIMARY KEY (only_row),
    CONSTRAINT cache_channel_only_row CHECK (only_row)
);
INSERT INTO entasis_internal.cache_channel DEFAULT VALUES ON CONFLICT DO NOTHING;
