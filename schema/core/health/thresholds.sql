CREATE TABLE IF NOT EXISTS entasis.thresholds (
    check_name text NOT NULL,
    warning numeric,
    critical numeric,
    CONSTRAINT thresholds_pkey PRIMARY KEY (check_name),
    CONSTRAINT thresholds_are_numbers CHECK (warning <> 'NaN' AND critical <> 'NaN')
);
