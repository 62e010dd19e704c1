-- Positions, and which login is which user.
-- depends: 0005.predictions

SET LOCAL ROLE entasis_owner;

CREATE TABLE IF NOT EXISTS entasis.user_logins (
    login name NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT user_logins_pkey PRIMARY KEY (login)
);

CREATE SEQUENCE IF NOT EXISTS entasis.portfolio_status_id_seq AS bigint;

CREATE TABLE IF NOT EXISTS entasis.portfolio_status (
    id bigint NOT NULL DEFAULT nextval('entasis.portfolio_status_id_seq'),
    user_id uuid NOT NULL,
    asset_type varchar(64) COLLATE "C" NOT NULL,
    position_size numeric NOT NULL,
    entry_price numeric NOT NULL,
    current_price numeric NOT NULL,
    pnl numeric NOT NULL,
    timestamp timestamptz NOT NULL,
    CONSTRAINT portfolio_status_pkey PRIMARY KEY (id),
    -- read backwards, it finds the newest snapshot of each position without the older ones
    CONSTRAINT portfolio_status_key UNIQUE (user_id, asset_type, timestamp),
    CONSTRAINT portfolio_status_asset_type_is_name CHECK (
        asset_type <> ''
        AND asset_type !~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
    ),
    CONSTRAINT portfolio_status_position_size_exact CHECK (
        position_size > -1e20 AND position_size < 1e20 AND min_scale(position_size) <= 18
    ),
    CONSTRAINT portfolio_status_entry_price_exact CHECK (
        entry_price > -1e20 AND entry_price < 1e20 AND min_scale(entry_price) <= 18
    ),
    CONSTRAINT portfolio_status_current_price_exact CHECK (
        current_price > -1e20 AND current_price < 1e20 AND min_scale(current_price) <= 18
    ),
    CONSTRAINT portfolio_status_pnl_exact CHECK (
        pnl > -1e24 AND pnl < 1e24 AND min_scale(pnl) <= 24
    ),
    CONSTRAINT portfolio_status_timestamp_finite CHECK (isfinite(timestamp))
);

ALTER SEQUENCE entasis.portfolio_status_id_seq OWNED BY entasis.portfolio_status.id;

-- Without a policy no row is visible: so also if a migration is interrupted before the policies are made.
ALTER TABLE entasis.portfolio_status ENABLE ROW LEVEL SECURITY;

-- the document's two columns, and id, which makes the order definite
CREATE INDEX IF NOT EXISTS idx_portfolio_user_timestamp
ON entasis.portfolio_status (user_id, timestamp DESC, id DESC);
