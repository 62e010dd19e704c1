-- Asset types are found by jumping on the key's index from one to the next, and of each the newest snapshot by then. Without
-- settings, so that it is inlined. It runs as its caller, whose positions row-level security decides.
CREATE OR REPLACE FUNCTION entasis_internal.positions_asof(for_user uuid, at_time timestamptz)
RETURNS SETOF entasis.portfolio_status
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    WITH RECURSIVE assets AS (
        (
            SELECT s.asset_type
            FROM entasis.portfolio_status AS s
            WHERE s.user_id = positions_asof.for_user
            ORDER BY s.asset_type DESC
            LIMIT 1
        )
        UNION ALL
        SELECT n.asset_type
        FROM assets AS a
        CROSS JOIN LATERAL (
            SELECT s.asset_type
            FROM entasis.portfolio_status AS s
            WHERE
                s.user_id = positions_asof.for_user
                AND s.asset_type < a.asset_type
            ORDER BY s.asset_type DESC
            LIMIT 1
        ) AS n
    )

    SELECT p.* -- noqa: AM04
    FROM assets AS a
    CROSS JOIN
        LATERAL (
            SELECT s.*
            FROM entasis.portfolio_status AS s
            WHERE
                s.user_id = positions_asof.for_user
                AND s.asset_type = a.asset_type
                AND s.timestamp <= positions_asof.at_time
            ORDER BY s.timestamp DESC
            LIMIT 1
        ) AS p;
END;

COMMENT ON FUNCTION entasis_internal.positions_asof IS
'The newest snapshot of each position of one user that was taken at a moment or before it, closed ones too.';
