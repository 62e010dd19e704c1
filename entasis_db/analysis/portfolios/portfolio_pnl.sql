-- Profit and loss of one user at each moment at which a snapshot was taken.
SELECT
    p.moment,
    p.open_positions,
    p.pnl,
    p.unrealised,
    p.peak,
    p.drawdown
FROM
    entasis.portfolio_pnl(
        %(user_id)s::pg_catalog.uuid,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS p
ORDER BY p.moment;
