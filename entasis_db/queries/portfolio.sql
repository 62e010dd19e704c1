-- The newest snapshot of each position of one user. Read backwards, the key's index has the snapshots of an
-- asset type from the newest on, so that one jump to the asset type before lands on the row that is
-- wanted: older snapshots are not read, however many there are. Row-level security decides whose positions are seen.
WITH RECURSIVE positions AS (
    (
        SELECT
            s.id,
            s.user_id,
            s.asset_type,
            s.position_size,
            s.entry_price,
            s.current_price,
            s.pnl,
            s.timestamp
        FROM entasis.portfolio_status AS s
        WHERE s.user_id OPERATOR(pg_catalog.=) %(user_id)s::pg_catalog.uuid
        ORDER BY s.asset_type DESC, s.timestamp DESC
        LIMIT 1
    )
    UNION ALL
    SELECT n.*
    FROM positions AS p
    CROSS JOIN LATERAL (
        SELECT
            s.id,
            s.user_id,
            s.asset_type,
            s.position_size,
            s.entry_price,
            s.current_price,
            s.pnl,
            s.timestamp
        FROM entasis.portfolio_status AS s
        WHERE
            s.user_id OPERATOR(pg_catalog.=) %(user_id)s::pg_catalog.uuid
            AND s.asset_type OPERATOR(pg_catalog.<) p.asset_type
        ORDER BY s.asset_type DESC, s.timestamp DESC
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
FROM positions AS p
ORDER BY p.asset_type;
