COMMENT ON TABLE entasis.user_logins IS
'Maps database logins to users, for row-level security of portfolio_status.';
COMMENT ON COLUMN entasis.user_logins.login IS
'Name of a login role.';
COMMENT ON COLUMN entasis.user_logins.user_id IS
'User that the login acts as; it reads and writes only this user''s positions.';
