CREATE TABLE IF NOT EXISTS entasis.user_logins (
    login name NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT user_logins_pkey PRIMARY KEY (login)
);
