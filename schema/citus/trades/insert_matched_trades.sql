CREATE OR REPLACE FUNCTION entasis_internal.insert_matched_trades(
    stored tid[], OUT inserted bigint, OUT repeated bigint[]
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = 'warning'
AS $$
DECLARE
    put_symbols text[];
    put_times timestamptz[];
    put_exchanges text[];
    put_ids bigint[];
BEGIN
    -- see refuse_repeated_ids()
    PERFORM set_config('entasis.trade_ids', pg_current_xact_id()::text, true);

    -- Inserts the first row of each key. Rows that were not inserted are compared with the stored ones by a later
    -- statement, whose snapshot includes what other sessions committed in the meantime.
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_put_trades (
        symbol text COLLATE "C", "timestamp" timestamptz, exchange text COLLATE "C", id bigint
    ) ON COMMIT DROP;
    DELETE FROM pg_temp.entasis_put_trades;
    WITH put AS (
        INSERT INTO entasis.market_data (
            symbol, exchange, timestamp, id, price, volume, side, source_id, excluded
        )
        SELECT r.symbol, r.exchange, r.timestamp, r.id, r.price, r.volume, r.side, r.source_id, r.excluded
        FROM (
            SELECT s.*, row_number() OVER (
                PARTITION BY s.symbol, s.timestamp, s.exchange, s.id ORDER BY s.line
            ) AS rank
            FROM pg_temp.entasis_staged_trades AS s
        ) AS r
        WHERE r.rank = 1
        -- all writers lock the keys in this order
        ORDER BY r.symbol, r.timestamp, r.exchange, r.id
        ON CONFLICT (symbol, timestamp, exchange, id) DO NOTHING
        RETURNING symbol, timestamp, exchange, id
    )
    SELECT array_agg(p.symbol), array_agg(p.timestamp), array_agg(p.exchange), array_agg(p.id)
    INTO put_symbols, put_times, put_exchanges, put_ids
    FROM put AS p;
    INSERT INTO pg_temp.entasis_put_trades
    SELECT * FROM unnest(put_symbols, put_times, put_exchanges, put_ids);

    PERFORM entasis_internal.notify_candle_changes(array_agg(
        row(
            p.symbol, p.exchange, date_bin('1 minute', p.timestamp, '2000-01-01 00:00:00+00'::timestamptz),
            0, 0, 0, 0, 0, 0, 0, p.timestamp, 0, p.timestamp, 0
        )::entasis.ohlcv_1m
    ))
    FROM pg_temp.entasis_put_trades AS p
    HAVING count(*) > 0;

    SELECT (SELECT count(*) FROM pg_temp.entasis_put_trades), array_agg(r.line) FILTER (WHERE p.id IS NULL OR r.rank > 1)
    INTO inserted, repeated
    FROM (
        SELECT s.*, row_number() OVER (
            PARTITION BY s.symbol, s.timestamp, s.exchange, s.id ORDER BY s.line
        ) AS rank
        FROM pg_temp.entasis_staged_trades AS s
    ) AS r
    LEFT JOIN pg_temp.entasis_put_trades AS p USING (symbol, timestamp, exchange, id);
END
$$;

COMMENT ON FUNCTION entasis_internal.insert_matched_trades IS
'Inserts the trades of pg_temp.entasis_staged_trades after match_staged_trades(), which says which of them, by ctid, are stored under their very key (NULL: it is not known). Returns how many were inserted, and the lines of those that were not: their key is stored, or stands in an earlier line.';
