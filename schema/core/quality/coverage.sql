CREATE OR REPLACE FUNCTION entasis.coverage(
    symbol_name text DEFAULT NULL,
    exchange_name text DEFAULT NULL,
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    symbol varchar,
    exchange varchar,
    kind text,
    first_trade timestamptz,
    last_trade timestamptz,
    trades bigint,
    gaps bigint,
    missing numeric,
    silent interval,
    covered numeric
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    symbols text[];
    exchanges text[];
    numbers bigint[];
    missing_trades numeric[];
    silences interval[];
    begins timestamptz[];
    ends timestamptz[];
BEGIN
    -- apart from markets and candles: these may be sharded, and gaps() reads them itself
    SELECT array_agg(x.symbol), array_agg(x.exchange), array_agg(x.gaps), array_agg(x.missing), array_agg(x.silent),
        array_agg(x.begins_at), array_agg(x.ends_at)
    INTO symbols, exchanges, numbers, missing_trades, silences, begins, ends
    FROM (
        SELECT g.symbol::text AS symbol, g.exchange::text AS exchange, count(*) AS gaps, sum(g.missing) AS missing,
            sum(g.ends_at - g.begins_at) FILTER (WHERE g.kind = 'silence') AS silent,
            min(g.begins_at) AS begins_at, max(g.ends_at) AS ends_at
        FROM (
            SELECT n.*,
                greatest(n.after_time, coverage.from_time, entasis_internal.trades_kept_from()) AS begins_at,
                least(coalesce(n.before_time, now()), coverage.to_time) AS ends_at
            FROM entasis.gaps(
                coverage.symbol_name, coverage.exchange_name, coverage.from_time, coverage.to_time
            ) AS n
        ) AS g
        GROUP BY g.symbol, g.exchange
    ) AS x;

    RETURN QUERY
    WITH stored AS (
        SELECT c.symbol, c.exchange, min(c.opened_at) AS first_trade, max(c.closed_at) AS last_trade,
            sum(c.trades)::bigint AS trades
        FROM entasis.ohlcv_1m AS c
        WHERE c.symbol = coalesce(coverage.symbol_name, c.symbol)
            AND c.exchange = coalesce(coverage.exchange_name, c.exchange)
            AND c.bucket >= date_bin(
                '1 minute',
                greatest(coverage.from_time, entasis_internal.trades_kept_from()),
                '2000-01-01 00:00:00+00'::timestamptz
            )
            AND c.bucket < coverage.to_time
        GROUP BY c.symbol, c.exchange
    )
    SELECT m.symbol, m.exchange, k.kind, s.first_trade, s.last_trade, coalesce(s.trades, 0),
        coalesce(x.gaps, 0), x.missing, x.silent,
        CASE
            WHEN k.kind = 'ids'
                THEN trunc(s.trades / (s.trades + coalesce(x.missing, 0)), 6)
            WHEN s.trades IS NOT NULL OR x.silent IS NOT NULL THEN trunc(
                1 - coalesce(
                    extract(EPOCH FROM x.silent) / extract(
                        EPOCH FROM greatest(s.last_trade, x.ends_at) - least(s.first_trade, x.begins_at)
                    ),
                    0
                ),
                6
            )
        END
    FROM entasis.markets AS m
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN m.ids_dense IS TRUE AND entasis_internal.is_exchange_id(m.id_space) THEN 'ids'
            ELSE 'silence'
        END AS kind
    ) AS k
    LEFT JOIN stored AS s ON m.symbol = s.symbol AND m.exchange = s.exchange
    LEFT JOIN unnest(symbols, exchanges, numbers, missing_trades, silences, begins, ends)
        AS x (symbol, exchange, gaps, missing, silent, begins_at, ends_at)
        ON m.symbol = x.symbol AND m.exchange = x.exchange
    WHERE m.symbol = coalesce(coverage.symbol_name, m.symbol)
        AND m.exchange = coalesce(coverage.exchange_name, m.exchange)
    ORDER BY m.exchange, m.symbol;
END
$$;

COMMENT ON FUNCTION entasis.coverage IS
'How much is stored of each market in [from_time, to_time), by exchange and symbol: first_trade, last_trade and trades of the minutes that meet the range (a day of which nothing is stored: NULL and 0), the number of its gaps(), the trades missing in them (kind ids) and the time that they are silent. covered, from 0 to 1, cut to 6 decimals: of kind ids the trades that are stored, of those and the missing ones; of kind silence the time that is not silent, of that from the first trade to the last. NULL: nothing is stored.';
