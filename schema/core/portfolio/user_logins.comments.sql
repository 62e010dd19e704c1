COMMENT ON TABLE entasis.user_logins IS
'Which database login is which user, for row-level security of portfolio_status.';
COMMENT ON COLUMN entasis.user_logins.login IS
'Name of a login role.';
COMMENT ON COLUMN entasis.user_logins.user_id IS
'The user that it is; it sees and writes this user''s positions only.';
