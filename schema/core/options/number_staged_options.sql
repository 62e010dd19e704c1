-- Numbers that another session gives at the same time are found by insert_staged_options().
CREATE OR REPLACE FUNCTION entasis_internal.number_staged_options() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH quotes AS MATERIALIZED (
        SELECT s.ctid AS place, s.*, min(s.line) OVER (
            PARTITION BY
                s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp,
                s.iv, s.delta, s.gamma, s.theta, s.vega
        ) AS first_line
        FROM pg_temp.entasis_staged_options AS s
        WHERE s.id IS NULL
    ),
    moments AS MATERIALIZED (
        SELECT DISTINCT q.underlying, q.expiry_date, q.strike_price, q.option_type, q.timestamp
        FROM quotes AS q
    ),
    numbered AS MATERIALIZED (
        SELECT
            d.underlying, d.expiry_date, d.strike_price, d.option_type, d.timestamp, d.id,
            d.iv, d.delta, d.gamma, d.theta, d.vega
        FROM moments AS m
        INNER JOIN entasis.option_data AS d
            USING (underlying, expiry_date, strike_price, option_type, timestamp)
        UNION ALL
        SELECT
            s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id,
            s.iv, s.delta, s.gamma, s.theta, s.vega
        FROM pg_temp.entasis_staged_options AS s
        WHERE s.id IS NOT NULL
    ),
    found AS MATERIALIZED (
        SELECT q.place, q.first_line, q.underlying, q.expiry_date, q.strike_price, q.option_type,
            q.timestamp, max(n.id) AS highest,
            min(n.id) FILTER (
                WHERE (q.iv, q.delta, q.gamma, q.theta, q.vega)
                IS NOT DISTINCT FROM (n.iv, n.delta, n.gamma, n.theta, n.vega)
            ) AS same
        FROM quotes AS q
        LEFT JOIN numbered AS n
            USING (underlying, expiry_date, strike_price, option_type, timestamp)
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
    UPDATE pg_temp.entasis_staged_options AS s
    SET id = coalesce(f.same, coalesce(f.highest, -1) + f.number), unnumbered = true
    FROM (
        SELECT f.place, f.same, f.highest, dense_rank() OVER (
            PARTITION BY
                f.underlying, f.expiry_date, f.strike_price, f.option_type, f.timestamp,
                f.same IS NULL
            ORDER BY f.first_line
        ) AS number
        FROM found AS f
    ) AS f
    WHERE s.ctid = f.place;
END
$$;

COMMENT ON FUNCTION entasis_internal.number_staged_options IS
'Gives an id to each quote of pg_temp.entasis_staged_options that has none: that of the quote of the same contract, timestamp and values, if there is one, stored or staged; otherwise the next number of that contract and timestamp, from 0.';
