-- What one user has at stake in each asset, as known at one moment.
SELECT
    e.asset_type,
    e.position_size,
    e.current_price,
    e.exposure,
    e.gross_exposure,
    e.share,
    e.snapshot_at
FROM
    entasis.portfolio_exposure(
        %(user_id)s::pg_catalog.uuid, %(at)s::pg_catalog.timestamptz
    ) AS e
ORDER BY e.asset_type COLLATE pg_catalog."C";
