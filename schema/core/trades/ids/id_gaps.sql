-- Candles know the first and last id of a minute, and how many trades it has: only the trades of minutes that
-- lack some are read. In a market that is told in several units of time, trades are out of order within the
-- coarsest, and all are read. Trades that no candle counts (excluded ones, and on engine timescaledb late ones before the
-- next refresh) are looked for where ids seem to be missing.
CREATE OR REPLACE FUNCTION entasis.id_gaps(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
) RETURNS TABLE (
    first_id bigint,
    last_id bigint,
    missing bigint,
    after_time timestamptz,
    before_time timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    market entasis.markets;
BEGIN
    SELECT m.* INTO market FROM entasis.markets AS m
    WHERE m.symbol = symbol_name AND m.exchange = exchange_name;
    IF market.ids_dense IS NOT TRUE OR NOT entasis_internal.is_exchange_id(market.id_space) THEN
        RAISE EXCEPTION 'nobody knows which ids of % % are missing', exchange_name, symbol_name
        USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = CASE
                WHEN market.symbol IS NULL THEN 'The market is not in entasis.markets.'
                ELSE format(
                    'Its ids are of the space %s, and it is not known that they have no gaps.',
                    coalesce(market.id_space, 'unknown')
                )
            END,
            HINT = 'Where the exchange numbers trades without gaps, set ids_dense in entasis.markets.';
    END IF;

    RETURN QUERY
    WITH minutes AS MATERIALIZED (
        SELECT c.bucket, c.first_trade_id, c.last_trade_id, c.opened_at, c.closed_at,
            cardinality(market.time_units) > 1
            OR c.last_trade_id - c.first_trade_id + 1 <> c.trades AS is_read
        FROM entasis.ohlcv_1m AS c
        WHERE c.symbol = symbol_name AND c.exchange = exchange_name
            AND c.bucket >= date_bin('1 minute', id_gaps.from_time, '2000-01-01 00:00:00+00'::timestamptz)
            AND c.bucket < id_gaps.to_time
    ),
    runs AS (
        SELECT m.first_trade_id AS first_of_run, m.last_trade_id AS last_of_run,
            m.opened_at AS begins_at, m.closed_at AS ends_at
        FROM minutes AS m WHERE NOT m.is_read
        UNION ALL
        SELECT d.id, d.id, d.timestamp, d.timestamp
        FROM minutes AS m
        CROSS JOIN LATERAL (
            SELECT t.id, t.timestamp FROM entasis.market_data AS t
            WHERE t.symbol = symbol_name AND t.exchange = exchange_name
                AND t.timestamp >= m.bucket AND t.timestamp < m.bucket + interval '1 minute'
        ) AS d
        WHERE m.is_read
    ),
    between_candles AS (
        SELECT r.first_of_run, r.begins_at,
            lag(r.last_of_run) OVER (ORDER BY r.first_of_run) AS id_before,
            lag(r.ends_at) OVER (ORDER BY r.first_of_run) AS time_before
        FROM runs AS r
    ),
    uncounted AS (
        SELECT d.id, d.timestamp
        FROM between_candles AS b
        CROSS JOIN LATERAL (
            SELECT t.id, t.timestamp FROM entasis.market_data AS t
            WHERE t.symbol = symbol_name AND t.exchange = exchange_name
                AND t.timestamp >= least(b.time_before, b.begins_at) - interval '1 second'
                AND t.timestamp <= greatest(b.time_before, b.begins_at) + interval '1 second'
                AND t.id > b.id_before AND t.id < b.first_of_run
        ) AS d
        WHERE b.first_of_run > b.id_before + 1
    ),
    ordered AS (
        SELECT r.first_of_run, r.begins_at,
            lag(r.last_of_run) OVER (ORDER BY r.first_of_run) AS id_before,
            lag(r.ends_at) OVER (ORDER BY r.first_of_run) AS time_before
        FROM (
            SELECT * FROM runs
            UNION
            SELECT u.id, u.id, u.timestamp, u.timestamp FROM uncounted AS u
        ) AS r
    )
    SELECT o.id_before + 1, o.first_of_run - 1, o.first_of_run - 1 - o.id_before,
        o.time_before, o.begins_at
    FROM ordered AS o
    WHERE o.first_of_run > o.id_before + 1
    ORDER BY o.first_of_run;
END
$$;

COMMENT ON FUNCTION entasis.id_gaps IS
'Trades of a market that were never loaded: the ids from first_id to last_id, missing in number, are not stored, made between after_time and before_time. Looks between the first and the last stored trade of the minutes that meet [from_time, to_time). Raises 55000 for a market whose ids may have gaps or are not the exchange''s: see entasis.markets.';
