-- Where it is known which trades are stored, the others are inserted without ON CONFLICT, which takes a third longer; if another
-- session was first with one of them, all are inserted again with it.
CREATE OR REPLACE FUNCTION entasis_internal.insert_matched_trades(
    stored tid[], OUT inserted bigint, OUT repeated bigint[]
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- see refuse_repeated_ids()
    PERFORM set_config('entasis.trade_ids', pg_current_xact_id()::text, true);

    IF insert_matched_trades.stored IS NOT NULL THEN
        BEGIN
            INSERT INTO entasis.market_data (
                symbol, exchange, timestamp, id, price, volume, side, source_id, excluded
            )
            SELECT s.symbol, s.exchange, s.timestamp, s.id, s.price, s.volume, s.side, s.source_id, s.excluded
            FROM pg_temp.entasis_staged_trades AS s
            WHERE s.ctid <> ALL (insert_matched_trades.stored)
            -- all writers lock the keys in this order
            ORDER BY s.symbol, s.timestamp, s.exchange, s.id;
            GET DIAGNOSTICS inserted = ROW_COUNT;
            SELECT array_agg(s.line) INTO repeated FROM pg_temp.entasis_staged_trades AS s
            WHERE s.ctid = ANY (insert_matched_trades.stored);
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            NULL;  -- all that was done is undone, the setting too
        END;
    END IF;

    -- Inserts the first row of each key. Rows that were not inserted are compared with the stored ones by the
    -- next statement, whose snapshot includes what other sessions committed in the meantime.
    WITH ranked AS (
        SELECT s.*, row_number() OVER (
            PARTITION BY s.symbol, s.timestamp, s.exchange, s.id ORDER BY s.line
        ) AS rank
        FROM pg_temp.entasis_staged_trades AS s
    ),
    put AS (
        INSERT INTO entasis.market_data (
            symbol, exchange, timestamp, id, price, volume, side, source_id, excluded
        )
        SELECT r.symbol, r.exchange, r.timestamp, r.id, r.price, r.volume, r.side, r.source_id, r.excluded
        FROM ranked AS r WHERE r.rank = 1
        -- all writers lock the keys in this order
        ORDER BY r.symbol, r.timestamp, r.exchange, r.id
        ON CONFLICT (symbol, timestamp, exchange, id) DO NOTHING
        RETURNING symbol, timestamp, exchange, id
    )
    SELECT (SELECT count(*) FROM put), array_agg(r.line) FILTER (WHERE p.id IS NULL OR r.rank > 1)
    INTO inserted, repeated
    FROM ranked AS r
    LEFT JOIN put AS p USING (symbol, timestamp, exchange, id);
END
$$;

COMMENT ON FUNCTION entasis_internal.insert_matched_trades IS
'Inserts the trades of pg_temp.entasis_staged_trades after match_staged_trades(), which says which of them, by ctid, are stored under their very key (NULL: it is not known). Returns how many were inserted, and the lines of those that were not: their key is stored, or stands in an earlier line.';
