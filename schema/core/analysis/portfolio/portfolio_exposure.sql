-- Without settings, so that it is inlined. It runs as its caller, whose positions row-level security decides.
CREATE OR REPLACE FUNCTION entasis.portfolio_exposure(
    for_user uuid DEFAULT entasis.acting_user_id(),
    at_time timestamptz DEFAULT now()
) RETURNS TABLE (
    asset_type varchar,
    position_size numeric,
    current_price numeric,
    exposure numeric,
    gross_exposure numeric,
    share numeric,
    snapshot_at timestamptz
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
    SELECT
        p.asset_type,
        p.position_size,
        p.current_price,
        p.position_size * p.current_price AS exposure,
        abs(p.position_size * p.current_price) AS gross_exposure,
        abs(p.position_size * p.current_price)
        / nullif(sum(abs(p.position_size * p.current_price)) OVER (), 0) AS share,
        p.timestamp AS snapshot_at
    FROM
        entasis_internal.positions_asof(
            portfolio_exposure.for_user, portfolio_exposure.at_time
        ) AS p
    WHERE p.position_size <> 0;
END;

COMMENT ON FUNCTION entasis.portfolio_exposure IS
'What one user has at stake in each asset, as known at one moment: of the newest snapshots by at_time those whose position_size is not 0. exposure is position_size * current_price in quote units, exact: below 0 for a short position, and for a long one of a negative price. gross_exposure is its absolute, share that divided by the sum of all, from 0 to 1, rounded half away from zero to at least 16 significant digits; NULL where that sum is 0. snapshot_at is when the snapshot was taken, which may be long ago. Sums over assets mean something only where their prices are in one currency. Row-level security is that of the caller, as in portfolio(). Ordered only if the query says so.';
