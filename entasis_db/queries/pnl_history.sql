-- The snapshots of one user in [from_time, to_time), in order of time; snapshots of one moment are
-- ordered by id. Row-level security decides whose positions are seen.
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
    AND s.timestamp OPERATOR(pg_catalog.>=) %(from_time)s::pg_catalog.timestamptz
    AND s.timestamp OPERATOR(pg_catalog.<) %(to_time)s::pg_catalog.timestamptz
ORDER BY s.timestamp, s.id;
