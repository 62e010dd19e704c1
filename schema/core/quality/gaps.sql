CREATE OR REPLACE FUNCTION entasis.gaps(
    symbol_name text DEFAULT NULL,
    exchange_name text DEFAULT NULL,
    from_time timestamptz DEFAULT '-infinity',
    to_time timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    symbol varchar,
    exchange varchar,
    kind text,
    after_time timestamptz,
    before_time timestamptz,
    first_id bigint,
    last_id bigint,
    missing bigint,
    usual interval
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    lowest_id CONSTANT bigint := -9223372036854775808;
    kept_from CONSTANT timestamptz := greatest(gaps.from_time, entasis_internal.trades_kept_from());
    market record;
    ids_from timestamptz;
    ids_to timestamptz;
BEGIN
    PERFORM entasis_internal.check_range_bounds(gaps.from_time, gaps.to_time);
    -- below the floor nothing can be loaded
    IF kept_from >= gaps.to_time THEN
        RETURN;
    END IF;
    FOR market IN
        SELECT m.symbol, m.exchange,
            m.ids_dense IS TRUE AND entasis_internal.is_exchange_id(m.id_space) AS has_ids
        FROM entasis.markets AS m
        WHERE m.symbol = coalesce(gaps.symbol_name, m.symbol)
            AND m.exchange = coalesce(gaps.exchange_name, m.exchange)
        ORDER BY m.exchange, m.symbol
    LOOP
        IF market.has_ids THEN
            -- ids that are missing at an edge lie between a trade of the range and one outside of it
            ids_from := kept_from;
            ids_to := gaps.to_time;
            IF isfinite(kept_from) THEN
                SELECT p.traded_at INTO ids_from
                FROM entasis_internal.previous_trade(
                    market.symbol, market.exchange, kept_from, lowest_id
                ) AS p;
            END IF;
            IF isfinite(gaps.to_time) THEN
                SELECT n.traded_at + interval '1 microsecond' INTO ids_to
                FROM entasis_internal.next_trade(
                    market.symbol, market.exchange, gaps.to_time, lowest_id
                ) AS n;
            END IF;
            RETURN QUERY
            SELECT market.symbol, market.exchange, 'ids',
                g.after_time, g.before_time, g.first_id, g.last_id, g.missing, NULL::interval
            FROM entasis.id_gaps(
                market.symbol, market.exchange,
                coalesce(ids_from, kept_from), coalesce(ids_to, gaps.to_time)
            ) AS g
            WHERE greatest(g.before_time, g.after_time) >= kept_from
                AND least(g.before_time, g.after_time) < gaps.to_time
            ORDER BY g.first_id;
        END IF;
        RETURN QUERY
        SELECT market.symbol, market.exchange, 'silence',
            s.after_time, s.before_time, NULL::bigint, NULL::bigint, NULL::bigint, s.usual
        FROM entasis_internal.silences(market.symbol, market.exchange, kept_from, gaps.to_time) AS s
        -- between two trades, ids know better
        WHERE NOT market.has_ids OR s.before_time IS NULL
        ORDER BY s.after_time;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis.gaps IS
'What markets lack in [from_time, to_time), by exchange, symbol and time; symbol_name and exchange_name, NULL: of any. kind ids: the ids from first_id to last_id, missing in number, are not stored; made between after_time and before_time. kind silence, where ids cannot tell: no trade is stored between after_time and before_time (NULL: none since), for longer than usual. A gap that meets the range is given whole. Nothing is told below the floor of market_data. Reads candles, and the trades of minutes that lack some.';
