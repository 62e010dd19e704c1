-- What each snapshot changes is summed up, so that each is read once. Without settings, so that it is inlined. It runs as its
-- caller, whose positions row-level security decides.
CREATE OR REPLACE FUNCTION entasis.portfolio_pnl(
    for_user uuid,
    from_time timestamptz,
    to_time timestamptz DEFAULT now() + interval '1 day'
) RETURNS TABLE (
    moment timestamptz,
    open_positions bigint,
    pnl numeric,
    unrealised numeric,
    peak numeric,
    drawdown numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    WITH snapshots AS (
        SELECT
            '-infinity'::timestamptz AS moment,
            b.asset_type,
            b.position_size,
            b.entry_price,
            b.current_price,
            b.pnl
        FROM
            entasis_internal.positions_asof(
                portfolio_pnl.for_user, portfolio_pnl.from_time - interval '1 microsecond'
            ) AS b
        UNION ALL
        SELECT
            s.timestamp AS moment,
            s.asset_type,
            s.position_size,
            s.entry_price,
            s.current_price,
            s.pnl
        FROM entasis.portfolio_status AS s
        WHERE
            s.user_id = portfolio_pnl.for_user
            AND s.timestamp >= portfolio_pnl.from_time
            AND s.timestamp < portfolio_pnl.to_time
    ),

    numbers AS (
        SELECT
            n.moment,
            n.asset_type,
            n.pnl,
            n.position_size * (n.current_price - n.entry_price) AS unrealised,
            (n.position_size <> 0)::integer AS is_open
        FROM snapshots AS n
    ),

    changes AS (
        SELECT
            n.moment,
            n.pnl - coalesce(lag(n.pnl) OVER w, 0) AS pnl,
            n.unrealised - coalesce(lag(n.unrealised) OVER w, 0) AS unrealised,
            n.is_open - coalesce(lag(n.is_open) OVER w, 0) AS opened
        FROM numbers AS n
        WINDOW w AS (PARTITION BY n.asset_type ORDER BY n.moment)
    ),

    sums AS (
        SELECT
            c.moment,
            sum(sum(c.opened)) OVER m AS open_positions,
            sum(sum(c.pnl)) OVER m AS pnl,
            sum(sum(c.unrealised)) OVER m AS unrealised
        FROM changes AS c
        GROUP BY c.moment
        WINDOW m AS (ORDER BY c.moment)
    ),

    peaks AS (
        SELECT
            s.moment,
            s.open_positions,
            s.pnl,
            s.unrealised,
            max(s.pnl) OVER (ORDER BY s.moment) AS peak
        FROM sums AS s
    )

    SELECT
        p.moment,
        p.open_positions::bigint AS open_positions,
        p.pnl,
        p.unrealised,
        p.peak,
        p.pnl - p.peak AS drawdown
    FROM peaks AS p
    WHERE p.moment <> '-infinity';
END;

COMMENT ON FUNCTION entasis.portfolio_pnl IS
'Profit and loss of one user over time: a row for each moment of [from_time, to_time) at which a snapshot was taken, with the sums over the newest snapshot of each asset by then, also where that is older than from_time. pnl is the sum of what the writer stated, unrealised that of position_size * (current_price - entry_price), both in quote units and exact; what was realised, paid in or out is not stored. open_positions is how many have a size other than 0; a closed one keeps its last pnl. peak is the greatest pnl so far, of the range and as it stood before it, and drawdown is pnl - peak: never above 0, in quote units, because no capital is stored that it were a share of. Sums mean something only where all prices are in one currency. Row-level security is that of the caller, as in portfolio(). Ordered only if the query says so.';
