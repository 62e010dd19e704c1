-- The newest snapshot of each position of one user. Row-level security decides whose positions are seen.
SELECT
    p.id,
    p.user_id,
    p.asset_type,
    p.position_size,
    p.entry_price,
    p.current_price,
    p.pnl,
    p.timestamp
FROM entasis.portfolio(%(user_id)s::pg_catalog.uuid) AS p
ORDER BY p.asset_type;
