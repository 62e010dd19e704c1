DROP POLICY IF EXISTS own_positions ON entasis.portfolio_status;
-- The subselect is evaluated once a query instead of once a row, and before the first one is read: as the value
-- that an index is searched for, or that a user_id of the query has to be. So there is an error too where no row
-- would be found, but from a table that is read from end to end and is empty.
CREATE POLICY own_positions ON entasis.portfolio_status
USING (user_id = (SELECT entasis_internal.acting_user_or_error()))
WITH CHECK (user_id = (SELECT entasis_internal.acting_user_or_error()));

DROP POLICY IF EXISTS all_positions ON entasis.portfolio_status;
-- An administrator whose login is mapped to a user sees only that user's positions.
CREATE POLICY all_positions ON entasis.portfolio_status TO entasis_admin
USING ((SELECT entasis.acting_user_id()) IS NULL)
WITH CHECK ((SELECT entasis.acting_user_id()) IS NULL);

COMMENT ON POLICY own_positions ON entasis.portfolio_status IS
'A session reads and writes only the positions of acting_user_id(); one that acts for nobody and is no administrator gets an error.';
COMMENT ON POLICY all_positions ON entasis.portfolio_status IS
'An administrator for whom acting_user_id() is NULL reads and writes all positions.';
