-- Without settings, so that it is inlined. It runs as its caller, whose positions row-level security decides.
CREATE OR REPLACE FUNCTION entasis.portfolio_drawdown(
    for_user uuid,
    from_time timestamptz,
    to_time timestamptz DEFAULT now() + interval '1 day'
) RETURNS TABLE (
    drawdown numeric,
    peak numeric,
    peak_at timestamptz,
    trough numeric,
    trough_at timestamptz,
    recovered_at timestamptz
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    WITH points AS MATERIALIZED (
        SELECT
            p.moment,
            p.pnl,
            p.peak,
            p.drawdown
        FROM
            entasis.portfolio_pnl(
                portfolio_drawdown.for_user,
                portfolio_drawdown.from_time,
                portfolio_drawdown.to_time
            ) AS p
    ),

    deepest AS (
        SELECT
            p.moment,
            p.pnl,
            p.peak,
            p.drawdown
        FROM points AS p
        ORDER BY p.drawdown, p.moment
        LIMIT 1
    )

    SELECT
        d.drawdown,
        d.peak,
        (
            SELECT max(p.moment) FROM points AS p
            WHERE p.moment <= d.moment AND p.pnl = d.peak
        ) AS peak_at,
        d.pnl AS trough,
        d.moment AS trough_at,
        (
            SELECT min(p.moment) FROM points AS p
            WHERE p.moment >= d.moment AND p.pnl >= d.peak
        ) AS recovered_at
    FROM deepest AS d;
END;

COMMENT ON FUNCTION entasis.portfolio_drawdown IS
'The deepest fall of one user''s profit and loss in [from_time, to_time), of the rows of portfolio_pnl(), and of several as deep the first: one row, or none without a snapshot in the range. drawdown is trough - peak in quote units, 0 where the profit never fell. peak is the greatest pnl before, peak_at when it was last reached; NULL where that was before from_time. recovered_at is when pnl was next at peak or above; NULL where it was not. Exact. Row-level security is that of the caller, as in portfolio().';
