-- One statement for all markets, each time: planning one takes as long as reading hundreds of trades.
CREATE OR REPLACE FUNCTION entasis_internal.match_staged_trades(source_name text) RETURNS tid[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    symbols text[];
    exchanges text[];
    from_times timestamptz[];
    to_times timestamptz[];
    displaced_symbols text[];
    displaced_exchanges text[];
    refused_symbols text[];
    refused_exchanges text[];
    has_unknown_order boolean;
    has_other_ids boolean;
    stored tid[];
    is_changed boolean;
    market record;
    smallest CONSTANT bigint := -9223372036854775808;
    largest CONSTANT bigint := 9223372036854775807;
BEGIN
    -- where trades with ids of the batch may be stored: a market may have several ranges
    SELECT
        array_agg(p.symbol) FILTER (WHERE p.by_id), array_agg(p.exchange) FILTER (WHERE p.by_id),
        array_agg(lower(p.piece)) FILTER (WHERE p.by_id),
        array_agg(upper(p.piece)) FILTER (WHERE p.by_id),
        array_agg(p.symbol) FILTER (WHERE p.elsewhere <> '{}'),
        array_agg(p.exchange) FILTER (WHERE p.elsewhere <> '{}'),
        bool_or(p.by_id AND p.has_unknown_order),
        bool_or(NOT p.by_id)
    INTO symbols, exchanges, from_times, to_times, displaced_symbols, displaced_exchanges,
        has_unknown_order, has_other_ids
    FROM (
        SELECT e.*, unnest(e.elsewhere + tstzmultirange(tstzrange(
            e.first_time - interval '1 second', e.last_time + interval '1 second', '[]'
        ))) AS piece
        FROM (
            SELECT g.symbol, g.exchange, g.first_time, g.last_time,
                -- text is found again within a second, where it is told in several units
                entasis_internal.is_exchange_id(m.id_space)
                OR (m.id_space = 'digest' AND cardinality(m.time_units) > 1) AS by_id,
                -- of several units, one is out of order with the other
                m.ids_rise IS NULL AND cardinality(coalesce(m.time_units, '{}')) < 2 AS has_unknown_order,
                -- asked here first, in one plan for all markets
                CASE WHEN before.id >= g.first_id OR after.id <= g.last_id
                    THEN entasis_internal.ids_elsewhere(
                        g.symbol, g.exchange, g.first_time, g.last_time, g.first_id, g.last_id
                    )
                    ELSE '{}'
                END AS elsewhere
            FROM (
                SELECT s.symbol, s.exchange, min(s.timestamp) AS first_time,
                    max(s.timestamp) AS last_time, min(s.id) AS first_id, max(s.id) AS last_id
                FROM pg_temp.entasis_staged_trades AS s
                GROUP BY s.symbol, s.exchange
            ) AS g
            LEFT JOIN entasis.markets AS m ON g.symbol = m.symbol AND g.exchange = m.exchange
            LEFT JOIN LATERAL (
                SELECT t.id
                FROM entasis_internal.previous_trade(g.symbol, g.exchange, g.first_time, smallest) AS t
                WHERE m.ids_rise IS NOT FALSE AND entasis_internal.is_exchange_id(m.id_space)
            ) AS before ON true
            LEFT JOIN LATERAL (
                SELECT t.id
                FROM entasis_internal.next_trade(g.symbol, g.exchange, g.last_time, largest) AS t
                WHERE m.ids_rise IS NOT FALSE AND entasis_internal.is_exchange_id(m.id_space)
            ) AS after ON true
            OFFSET 0
        ) AS e
    ) AS p;
    IF symbols IS NULL THEN
        RETURN NULL;
    END IF;

    SELECT r.* INTO refused_symbols, refused_exchanges, stored, is_changed
    FROM entasis_internal.match_stored_trades(
        source_name, symbols, exchanges, from_times, to_times
    ) AS r;
    IF entasis_internal.match_repeated_lines(source_name, symbols, exchanges) THEN
        is_changed := true;
    END IF;

    IF has_unknown_order THEN
        FOR market IN
            SELECT o.symbol, o.exchange
            FROM (
                SELECT s.symbol, s.exchange, s.id <= lag(s.id) OVER (
                    PARTITION BY s.symbol, s.exchange ORDER BY s.timestamp, s.id
                ) AS falls
                FROM (
                    SELECT DISTINCT t.symbol, t.exchange, t.timestamp, t.id
                    FROM pg_temp.entasis_staged_trades AS t
                ) AS s
            ) AS o
            LEFT JOIN entasis.markets AS m ON o.symbol = m.symbol AND o.exchange = m.exchange
            WHERE entasis_internal.is_exchange_id(m.id_space)
                AND m.ids_rise IS NULL AND cardinality(coalesce(m.time_units, '{}')) < 2
            GROUP BY o.symbol, o.exchange
            HAVING bool_or(o.falls) OR (
                (o.symbol, o.exchange) IN (
                    SELECT * FROM unnest(displaced_symbols, displaced_exchanges)
                    EXCEPT
                    SELECT * FROM unnest(refused_symbols, refused_exchanges)
                )
            )
            -- all writers lock the markets in this order
            ORDER BY o.symbol, o.exchange
        LOOP
            PERFORM entasis_internal.record_disorder(market.symbol, market.exchange);
        END LOOP;
    END IF;
    IF is_changed OR has_other_ids THEN
        RETURN NULL;
    END IF;
    RETURN stored;
END
$$;

COMMENT ON FUNCTION entasis_internal.match_staged_trades IS
'Finds the trades of pg_temp.entasis_staged_trades whose id is stored or staged at another time, in markets whose ids are the exchange''s, or digests of text in a market that is told in several units of time. A trade of the same moment, price, volume and side gets the time that is stored, so that it is there already; any other goes to quarantine. Returns the ctids of the trades that are stored under their very key, when no key is staged twice; NULL: it is not known which these are.';
