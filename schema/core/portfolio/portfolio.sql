-- Read backwards, the key's index has the snapshots of an asset type from the newest on, so that one jump to the asset
-- type before lands on the row that is wanted: older snapshots are not read, however many there are. Without
-- settings, so that it is inlined. It runs as its caller, whose positions row-level security decides.
CREATE OR REPLACE FUNCTION entasis.portfolio(for_user uuid DEFAULT entasis.acting_user_id())
RETURNS SETOF entasis.portfolio_status
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    WITH RECURSIVE positions AS (
        (
            SELECT s.*
            FROM entasis.portfolio_status AS s
            WHERE s.user_id = portfolio.for_user
            ORDER BY s.asset_type DESC, s.timestamp DESC
            LIMIT 1
        )
        UNION ALL
        SELECT n.* -- noqa: AM04
        FROM positions AS p
        CROSS JOIN LATERAL (
            SELECT s.*
            FROM entasis.portfolio_status AS s
            WHERE
                s.user_id = portfolio.for_user
                AND s.asset_type < p.asset_type
            ORDER BY s.asset_type DESC, s.timestamp DESC
            LIMIT 1
        ) AS n
    )

    SELECT p.* FROM positions AS p; -- noqa: AM04
END;

COMMENT ON FUNCTION entasis.portfolio IS
'The newest snapshot of each position of one user, as rows of portfolio_status; a position that was closed stays, with its last size. Row-level security is that of the caller: for another user than acting_user_id(), which is the default, there are no rows, and an error where the session acts for nobody. Ordered only if the query says so.';
