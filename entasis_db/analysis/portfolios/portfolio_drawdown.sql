-- The deepest fall of one user's profit and loss in a range.
SELECT
    d.drawdown,
    d.peak,
    d.peak_at,
    d.trough,
    d.trough_at,
    d.recovered_at
FROM
    entasis.portfolio_drawdown(
        %(user_id)s::pg_catalog.uuid,
        %(from_time)s::pg_catalog.timestamptz,
        %(to_time)s::pg_catalog.timestamptz
    ) AS d;
