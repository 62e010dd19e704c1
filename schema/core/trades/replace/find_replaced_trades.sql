-- An id may be stored at any time, and no index has it: all trades of a market are read once, those in the
-- range by their time. Candles and the order of ids would say where to look only if none were wrong.
CREATE OR REPLACE FUNCTION entasis_internal.find_replaced_trades(
    from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
SET enable_nestloop = off
SET jit = off
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    market record;
    epoch timestamptz := '2000-01-01 00:00:00+00';
BEGIN
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_replaced_trades (
        symbol text COLLATE "C" NOT NULL,
        exchange text COLLATE "C" NOT NULL,
        "timestamp" timestamptz NOT NULL,
        id bigint NOT NULL,
        side text COLLATE "C",
        line bigint,
        is_same boolean NOT NULL,
        by_id boolean NOT NULL,
        -- partitions that were just loaded have no statistics, and are taken for empty: without an index,
        -- this table would be read once for each of their trades
        PRIMARY KEY (symbol, timestamp, exchange, id)
    ) ON COMMIT DELETE ROWS;
    DELETE FROM pg_temp.entasis_replaced_trades;

    FOR market IN
        SELECT s.symbol, s.exchange, entasis_internal.is_exchange_id(m.id_space) AS by_id,
            min(s.id) AS first_id, max(s.id) AS last_id
        FROM pg_temp.entasis_staged_trades AS s
        LEFT JOIN entasis.markets AS m ON s.symbol = m.symbol AND s.exchange = m.exchange
        GROUP BY s.symbol, s.exchange, m.id_space
        ORDER BY s.symbol, s.exchange
    LOOP
        INSERT INTO pg_temp.entasis_replaced_trades
        SELECT d.symbol, d.exchange, d.timestamp, d.id, d.side, s.line,
            coalesce(
                d.timestamp = s.timestamp AND d.price = s.price AND d.volume = s.volume
                AND (s.side IS NULL OR s.side IS NOT DISTINCT FROM d.side)
                AND (s.source_id IS NULL OR s.source_id IS NOT DISTINCT FROM d.source_id)
                AND (s.excluded IS NULL OR s.excluded IS NOT DISTINCT FROM d.excluded),
                false
            ),
            market.by_id
        FROM entasis.market_data AS d
        LEFT JOIN (
            SELECT t.* FROM pg_temp.entasis_staged_trades AS t
            WHERE t.symbol = market.symbol AND t.exchange = market.exchange
        ) AS s
            ON d.id = s.id
            -- the time belongs to the key only where ids are unique within it
            AND CASE WHEN market.by_id THEN epoch ELSE d.timestamp END
            = CASE WHEN market.by_id THEN epoch ELSE s.timestamp END
        WHERE d.symbol = market.symbol AND d.exchange = market.exchange
            AND d.timestamp >= find_replaced_trades.from_time
            AND d.timestamp < find_replaced_trades.to_time;

        IF market.by_id THEN
            INSERT INTO pg_temp.entasis_replaced_trades
            SELECT d.symbol, d.exchange, d.timestamp, d.id, d.side, s.line,
                d.timestamp = s.timestamp AND d.price = s.price AND d.volume = s.volume
                AND (s.side IS NULL OR s.side IS NOT DISTINCT FROM d.side)
                AND (s.source_id IS NULL OR s.source_id IS NOT DISTINCT FROM d.source_id)
                AND (s.excluded IS NULL OR s.excluded IS NOT DISTINCT FROM d.excluded),
                true
            FROM entasis.market_data AS d
            INNER JOIN pg_temp.entasis_staged_trades AS s ON d.id = s.id
            WHERE d.symbol = market.symbol AND d.exchange = market.exchange
                AND s.symbol = market.symbol AND s.exchange = market.exchange
                AND d.id BETWEEN market.first_id AND market.last_id
                AND (
                    find_replaced_trades.from_time IS NULL
                    OR d.timestamp < find_replaced_trades.from_time
                    OR d.timestamp >= find_replaced_trades.to_time
                );
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.find_replaced_trades IS
'Lists in the new table pg_temp.entasis_replaced_trades the stored trades for which those of pg_temp.entasis_staged_trades stand: where ids are the exchange''s, all with one of their ids, at any time; and all others of their markets in [from_time, to_time) (NULL: none). line is the staged trade with the same id; NULL: there is none. is_same: it is stored as it is staged, or with a side, source_id or exclusion that it does not state.';
