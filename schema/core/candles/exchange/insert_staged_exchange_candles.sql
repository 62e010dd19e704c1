-- insert_staged_trades() explains why it inserts first and compares afterwards.
CREATE OR REPLACE FUNCTION entasis.insert_staged_exchange_candles(
    source_name text,
    supersede boolean DEFAULT false,
    OUT inserted bigint,
    OUT already_there bigint,
    OUT superseded bigint,
    OUT quarantined bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    staged bigint;
    month timestamptz;
    doubtful bigint[];
    different bigint[];
    lowest timestamptz;
BEGIN
    SELECT count(*) INTO staged FROM pg_temp.entasis_staged_exchange_candles;
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'exchange_candles';

    WITH judged AS MATERIALIZED (
        SELECT s.*, s.ctid AS place, entasis_internal.exchange_candle_fault(
            s.symbol, s.exchange, s.interval, s.bucket, s.open, s.high, s.low, s.close,
            s.volume, s.quote_volume, s.trades,
            -- allowance for differing clocks
            clock_timestamp() + interval '5 minutes'
        ) AS fault
        FROM pg_temp.entasis_staged_exchange_candles AS s
    ),
    discarded AS (
        DELETE FROM pg_temp.entasis_staged_exchange_candles AS s
        USING judged AS j
        WHERE s.ctid = j.place AND j.fault IS NOT NULL
    )
    INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
    SELECT 'exchange_candles', source_name, j.line, j.fault[1], j.fault[2],
        to_jsonb(j) - 'line' - 'fault' - 'place'
    FROM judged AS j
    WHERE j.fault IS NOT NULL
    ON CONFLICT DO NOTHING;

    -- on engine postgresql there may be no partition whose trigger could say it
    PERFORM entasis_internal.refuse_old_exchange_candle(min(s.bucket), lowest)
    FROM pg_temp.entasis_staged_exchange_candles AS s
    HAVING min(s.bucket) < lowest;

    FOR month IN
        SELECT DISTINCT date_trunc('month', s.bucket)
        FROM pg_temp.entasis_staged_exchange_candles AS s
        WHERE s.bucket >= lowest
        ORDER BY 1
    LOOP
        -- the floor may lie inside a month
        PERFORM entasis.ensure_partitions(
            'exchange_candles', greatest(month, lowest), month + interval '1 month'
        );
    END LOOP;

    WITH ranked AS (
        SELECT s.*, row_number() OVER (
            PARTITION BY s.symbol, s.exchange, s.interval, s.bucket ORDER BY s.line
        ) AS rank
        FROM pg_temp.entasis_staged_exchange_candles AS s
    ),
    put AS (
        INSERT INTO entasis.exchange_candles (
            symbol, exchange, interval, bucket,
            open, high, low, close, volume, quote_volume, trades, source
        )
        SELECT r.symbol, r.exchange, r.interval, r.bucket,
            r.open, r.high, r.low, r.close, r.volume, r.quote_volume, r.trades, source_name
        FROM ranked AS r WHERE r.rank = 1
        -- all writers lock the keys in this order
        ORDER BY r.symbol, r.exchange, r.interval, r.bucket
        ON CONFLICT (symbol, exchange, interval, bucket) DO NOTHING
        RETURNING symbol, exchange, interval, bucket
    )
    SELECT (SELECT count(*) FROM put), array_agg(r.line) FILTER (WHERE p.bucket IS NULL OR r.rank > 1)
    INTO inserted, doubtful
    FROM ranked AS r
    LEFT JOIN put AS p USING (symbol, exchange, interval, bucket);

    SELECT array_agg(s.line) INTO different
    FROM pg_temp.entasis_staged_exchange_candles AS s
    INNER JOIN entasis.exchange_candles AS c
        ON s.symbol = c.symbol AND s.exchange = c.exchange
        AND s.interval = c.interval AND s.bucket = c.bucket
    WHERE s.line = ANY (doubtful)
        AND (s.open, s.high, s.low, s.close, s.volume, s.quote_volume, s.trades)
        IS DISTINCT FROM (c.open, c.high, c.low, c.close, c.volume, c.quote_volume, c.trades);

    superseded := 0;
    IF supersede THEN
        UPDATE entasis.exchange_candles AS c SET
            open = s.open, high = s.high, low = s.low, close = s.close, volume = s.volume,
            quote_volume = s.quote_volume, trades = s.trades, source = source_name
        FROM (
            -- what is told twice in one batch: the last one counts, also if it is the first again
            SELECT DISTINCT ON (t.symbol, t.exchange, t.interval, t.bucket) t.*
            FROM pg_temp.entasis_staged_exchange_candles AS t
            WHERE t.line = ANY (doubtful)
            ORDER BY t.symbol, t.exchange, t.interval, t.bucket, t.line DESC
        ) AS s
        WHERE s.symbol = c.symbol AND s.exchange = c.exchange
            AND s.interval = c.interval AND s.bucket = c.bucket
            AND (s.open, s.high, s.low, s.close, s.volume, s.quote_volume, s.trades)
            IS DISTINCT FROM (c.open, c.high, c.low, c.close, c.volume, c.quote_volume, c.trades);
        superseded := coalesce(cardinality(different), 0);
    ELSE
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'exchange_candles', source_name, s.line, 'conflict',
            format(
                'the %s candle of %s %s at %s is stored with other values, from %s: %s',
                s.interval, s.exchange, s.symbol, s.bucket AT TIME ZONE 'UTC', c.source,
                to_jsonb(row(c.open, c.high, c.low, c.close, c.volume, c.quote_volume, c.trades))
            ),
            to_jsonb(s) - 'line'
        FROM pg_temp.entasis_staged_exchange_candles AS s
        INNER JOIN entasis.exchange_candles AS c
            ON s.symbol = c.symbol AND s.exchange = c.exchange
            AND s.interval = c.interval AND s.bucket = c.bucket
        WHERE s.line = ANY (different)
        ON CONFLICT DO NOTHING;
    END IF;

    already_there := coalesce(cardinality(doubtful), 0) - coalesce(cardinality(different), 0);
    quarantined := staged - inserted - already_there - superseded;
    DELETE FROM pg_temp.entasis_staged_exchange_candles;
END
$$;

COMMENT ON FUNCTION entasis.insert_staged_exchange_candles IS
'Inserts the candles of pg_temp.entasis_staged_exchange_candles into exchange_candles. One that is stored already with the same values changes nothing; one that is stored with others goes to quarantine or, with supersede, takes its place; one that cannot be stored goes to quarantine. inserted, already_there, superseded and quarantined add up to the number of staged rows. Raises check_violation, and stores nothing, if a bucket lies below the floor of exchange_candles.';
