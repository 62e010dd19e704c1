CREATE TABLE IF NOT EXISTS entasis.maintenance_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    logged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    action text NOT NULL,
    relation text NOT NULL,
    detail text NOT NULL,
    CONSTRAINT maintenance_log_pkey PRIMARY KEY (id)
);
