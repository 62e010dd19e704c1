DROP POLICY IF EXISTS own_positions ON entasis.portfolio_status;
-- the subselect is evaluated once a query, not once a row
CREATE POLICY own_positions ON entasis.portfolio_status
USING (user_id = (SELECT entasis.acting_user_id()))
WITH CHECK (user_id = (SELECT entasis.acting_user_id()));

DROP POLICY IF EXISTS all_positions ON entasis.portfolio_status;
-- An admin who is mapped to a user is that user first.
CREATE POLICY all_positions ON entasis.portfolio_status TO entasis_admin
USING ((SELECT entasis.acting_user_id()) IS NULL)
WITH CHECK ((SELECT entasis.acting_user_id()) IS NULL);

COMMENT ON POLICY own_positions ON entasis.portfolio_status IS
'A session sees and writes the positions of acting_user_id() only.';
COMMENT ON POLICY all_positions ON entasis.portfolio_status IS
'An admin who acts for nobody in particular sees and writes all positions.';
