CREATE TABLE IF NOT EXISTS entasis_internal.made_objects (
    kind text NOT NULL,
    object_name text NOT NULL,
    digest text NOT NULL,
    written text,
    CONSTRAINT made_objects_pkey PRIMARY KEY (kind, object_name)
);
