-- SECURITY DEFINER: nobody but the owner writes what was found.
CREATE OR REPLACE FUNCTION entasis_internal.detect_trades(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    around record;
    told jsonb;
    added bigint;
BEGIN
    around := entasis_internal.trades_around(symbol_name, exchange_name, detect_trades.from_time, detect_trades.to_time, 1100);
    SELECT coalesce(jsonb_agg(to_jsonb(f)), '[]') INTO told
    FROM (
        SELECT * FROM entasis_internal.price_spikes(
            symbol_name, exchange_name, detect_trades.from_time, detect_trades.to_time, around.reads_from, around.reads_to
        )
        UNION ALL
        SELECT * FROM entasis_internal.volume_spikes(
            symbol_name, exchange_name, detect_trades.from_time, detect_trades.to_time, around.reads_from, around.reads_to
        )
        UNION ALL
        SELECT * FROM entasis_internal.stuck_prices(
            symbol_name, exchange_name, detect_trades.from_time, detect_trades.to_time, around.reads_from, around.reads_to
        )
        UNION ALL
        SELECT * FROM entasis_internal.clock_faults(
            symbol_name, exchange_name, detect_trades.from_time, detect_trades.to_time, around.reads_from, around.reads_to
        )
        UNION ALL
        SELECT * FROM entasis_internal.id_faults(
            symbol_name, exchange_name, detect_trades.from_time, detect_trades.to_time, around.reads_from, around.reads_to
        )
    ) AS f;

    -- a price that is still stuck, or of which an earlier trade has come: the same thing
    UPDATE entasis.anomalies AS a SET
        begins_at = f.begins_at, ends_at = f.ends_at, row_key = f.row_key, observed = f.observed, detail = f.detail
    FROM jsonb_populate_recordset(NULL::entasis.anomalies, told) AS f
    WHERE a.symbol = symbol_name AND a.exchange = exchange_name AND a.relation = 'market_data'
        AND a.kind = 'stuck_price' AND f.kind = 'stuck_price' AND a.state <> 'gone'
        AND (a.begins_at, a.ends_at) <> (f.begins_at, f.ends_at)
        AND a.id = (
            SELECT min(o.id) FROM entasis.anomalies AS o
            WHERE o.symbol = symbol_name AND o.exchange = exchange_name AND o.relation = 'market_data'
                AND o.kind = 'stuck_price' AND o.state <> 'gone'
                AND o.begins_at <= f.ends_at AND o.ends_at >= f.begins_at
                AND o.detail -> 'price' = f.detail -> 'price'
        )
        AND NOT EXISTS (
            SELECT FROM entasis.anomalies AS o
            WHERE o.symbol = symbol_name AND o.exchange = exchange_name AND o.relation = 'market_data'
                AND o.kind = 'stuck_price' AND o.begins_at = f.begins_at AND o.row_key = f.row_key
                AND o.id <> a.id
        );

    WITH put AS (
        INSERT INTO entasis.anomalies AS a (
            kind, relation, symbol, exchange, begins_at, ends_at, row_key, observed, expected, detail
        )
        SELECT f.kind, 'market_data', symbol_name, exchange_name,
            f.begins_at, f.ends_at, f.row_key, f.observed, f.expected, f.detail
        FROM jsonb_populate_recordset(NULL::entasis.anomalies, told) AS f
        ON CONFLICT ON CONSTRAINT anomalies_once DO UPDATE SET
            state = 'new', ends_at = excluded.ends_at, observed = excluded.observed,
            expected = excluded.expected, detail = excluded.detail
        WHERE a.state = 'gone'
        RETURNING a.id
    )
    SELECT count(*) INTO added FROM put;

    UPDATE entasis.anomalies AS a SET state = 'gone'
    WHERE a.symbol = symbol_name AND a.exchange = exchange_name AND a.relation = 'market_data' AND a.state = 'new'
        AND a.kind <> 'refused'
        AND a.begins_at >= detect_trades.from_time AND a.begins_at < detect_trades.to_time
        AND NOT EXISTS (
            SELECT FROM jsonb_populate_recordset(NULL::entasis.anomalies, told) AS f
            WHERE f.kind = a.kind AND f.begins_at = a.begins_at AND f.row_key = a.row_key
        );
    RETURN added;
END
$$;

COMMENT ON FUNCTION entasis_internal.detect_trades IS
'Examines the trades of a market in [from_time, to_time), stores in entasis.anomalies what stands out and was not found before, and marks as gone what nobody has decided and is not so any more. Returns how many are new.';
