-- The newest snapshot of each position of one user, found by jumping on the index from one asset type
-- to the next: older snapshots are not read. Row-level security decides whose positions are seen.
WITH RECURSIVE held AS (
    (
        SELECT s.asset_type
        FROM entasis.portfolio_status AS s
        WHERE s.user_id = %(user_id)s::uuid
        ORDER BY s.asset_type
        LIMIT 1
    )
    UNION ALL
    SELECT n.asset_type
    FROM held AS h
    CROSS JOIN LATERAL (
        SELECT s.asset_type
        FROM entasis.portfolio_status AS s
        WHERE
            s.user_id = %(user_id)s::uuid
            AND s.asset_type > h.asset_type
        ORDER BY s.asset_type
        LIMIT 1
    ) AS n
)

SELECT
    p.id,
    p.user_id,
    p.asset_type,
    p.position_size,
    p.entry_price,
    p.current_price,
    p.pnl,
    p.timestamp
FROM held AS h
CROSS JOIN
    LATERAL (
        SELECT s.*
        FROM entasis.portfolio_status AS s
        WHERE
            s.user_id = %(user_id)s::uuid
            AND s.asset_type = h.asset_type
        ORDER BY s.timestamp DESC, s.id DESC
        LIMIT 1
    ) AS p
ORDER BY p.asset_type;
