-- Numbers that another session gives at the same time are found by insert_staged_options().
CREATE OR REPLACE FUNCTION entasis_internal.number_staged_options() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH staged AS MATERIALIZED (
        SELECT s.ctid AS place, s.*, row(
            s.iv, s.delta, s.gamma, s.theta, s.vega, s.bid_price, s.ask_price, s.mark_price,
            s.bid_iv, s.ask_iv, s.underlying_price, s.open_interest, s.rho
        ) AS quoted
        FROM pg_temp.entasis_staged_options AS s
    ),
    quotes AS MATERIALIZED (
        SELECT s.*, min(s.line) OVER (
            PARTITION BY
                s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.quoted
        ) AS first_line
        FROM staged AS s
        WHERE s.id IS NULL
    ),
    moments AS MATERIALIZED (
        SELECT DISTINCT q.underlying, q.expiry_date, q.strike_price, q.option_type, q.timestamp
        FROM quotes AS q
    ),
    stored AS MATERIALIZED (
        SELECT
            d.underlying, d.expiry_date, d.strike_price, d.option_type, d.timestamp, d.id, row(
                d.iv, d.delta, d.gamma, d.theta, d.vega, d.bid_price, d.ask_price, d.mark_price,
                d.bid_iv, d.ask_iv, d.underlying_price, d.open_interest, d.rho
            ) AS quoted
        FROM moments AS m
        INNER JOIN entasis.option_data AS d
            ON m.underlying = d.underlying AND m.timestamp = d.timestamp
            -- as rows, because before statistics exist, a planner may take the index of strikes for
            -- equally good, and read all quotes of a strike for each
            AND (d.expiry_date, d.strike_price, d.option_type, d.timestamp)
            >= (m.expiry_date, m.strike_price, m.option_type, m.timestamp)
            AND (d.expiry_date, d.strike_price, d.option_type, d.timestamp)
            <= (m.expiry_date, m.strike_price, m.option_type, m.timestamp)
    ),
    numbered AS MATERIALIZED (
        SELECT d.* FROM stored AS d
        UNION ALL
        -- of those with a number, what will be stored: the others of its key are conflicts, or the same
        (
            SELECT DISTINCT ON (
                s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id
            )
                s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id, s.quoted
            FROM staged AS s
            LEFT JOIN stored AS d
                USING (underlying, expiry_date, strike_price, option_type, timestamp, id)
            WHERE s.id IS NOT NULL AND d.id IS NULL
            ORDER BY
                s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id, s.line
        )
    ),
    found AS MATERIALIZED (
        SELECT q.place, q.first_line, q.underlying, q.expiry_date, q.strike_price, q.option_type,
            q.timestamp, max(n.id) AS highest,
            min(n.id) FILTER (WHERE q.quoted IS NOT DISTINCT FROM n.quoted) AS same
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
