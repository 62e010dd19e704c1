CREATE TABLE IF NOT EXISTS entasis.floors (
    relation text NOT NULL,
    floor timestamptz NOT NULL DEFAULT '-infinity',
    raised_at timestamptz,
    CONSTRAINT floors_pkey PRIMARY KEY (relation),
    CONSTRAINT floors_relation_fkey FOREIGN KEY (relation) REFERENCES entasis.keep_periods (
        relation
    )
);

INSERT INTO entasis.floors (relation)
SELECT k.relation FROM entasis.keep_periods AS k
ON CONFLICT (relation) DO NOTHING;
