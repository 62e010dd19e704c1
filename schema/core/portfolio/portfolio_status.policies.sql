DROP POLICY IF EXISTS own_positions ON entasis.portfolio_status;
-- the subselect is evaluated once a query instead of once a row
CREATE POLICY own_positions ON entasis.portfolio_status
USING (user_id = (SELECT entasis.acting_user_id()))
WITH CHECK (user_id = (SELECT entasis.acting_user_id()));

DROP POLICY IF EXISTS all_positions ON entasis.portfolio_status;
-- An administrator whose login is mapped to a user sees only that user's positions.
CREATE POLICY all_positions ON entasis.portfolio_status TO entasis_admin
USING ((SELECT entasis.acting_user_id()) IS NULL)
WITH CHECK ((SELECT entasis.acting_user_id()) IS NULL);

COMMENT ON POLICY own_positions ON entasis.portfolio_status IS
'A session reads and writes only the positions of acting_user_id().';
COMMENT ON POLICY all_positions ON entasis.portfolio_status IS
'An administrator for whom acting_user_id() is NULL reads and writes all positions.';
