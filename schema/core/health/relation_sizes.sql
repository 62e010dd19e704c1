CREATE TABLE IF NOT EXISTS entasis_internal.relation_sizes (
    relation text NOT NULL,
    measured_on date NOT NULL,
    bytes bigint NOT NULL,
    CONSTRAINT relation_sizes_pkey PRIMARY KEY (relation, measured_on)
);
