-- An UPDATE decompresses all batches of a compressed chunk that its conditions on symbol, exchange and
-- timestamp do not rule out, and only constants rule out any, not a join. So there is one statement for
-- each market and hour, limited to the time from its first to its last trade and planned for these
-- values. The staging table has no statistics: a nested loop would be chosen for any number of rows.
-- Compressed rows cannot be locked beforehand, so two sessions that fill the same trades may deadlock
-- (40P01); their callers repeat the transaction.
CREATE OR REPLACE FUNCTION entasis_internal.fill_stored_trades(fillable bigint[]) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = 'force_custom_plan'
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
    piece record;
    lines bigint[];
    taken bigint[];
    limit_before text
        := current_setting('timescaledb.max_tuples_decompressed_per_dml_transaction');
BEGIN
    PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);
    FOR piece IN
        SELECT
            s.symbol,
            s.exchange,
            min(s.timestamp) AS first_time,
            max(s.timestamp) AS last_time
        FROM pg_temp.entasis_staged_trades AS s
        WHERE s.line = ANY (fillable)
        GROUP BY s.symbol, s.exchange, date_bin('1 hour', s.timestamp, '2000-01-01 00:00:00+00')
        ORDER BY s.symbol, s.exchange, min(s.timestamp)
    LOOP
        WITH filled AS (
            UPDATE entasis.market_data AS d SET
                side = coalesce(d.side, t.side),
                source_id = coalesce(d.source_id, t.source_id),
                excluded = coalesce(d.excluded, t.excluded)
            FROM (
                SELECT DISTINCT ON (s.timestamp, s.id) s.*
                FROM pg_temp.entasis_staged_trades AS s
                WHERE s.symbol = piece.symbol AND s.exchange = piece.exchange
                    AND s.timestamp BETWEEN piece.first_time AND piece.last_time
                    AND s.line = ANY (fillable)
                ORDER BY s.timestamp, s.id, s.line
            ) AS t
            WHERE d.symbol = piece.symbol AND d.exchange = piece.exchange
                AND d.timestamp BETWEEN piece.first_time AND piece.last_time
                AND d.timestamp = t.timestamp AND d.id = t.id
                -- a concurrent transaction may have changed it after the comparison
                AND d.price = t.price AND d.volume = t.volume
                AND (d.side <> t.side) IS NOT TRUE AND (d.source_id <> t.source_id) IS NOT TRUE
                AND (
                    (d.side IS NULL AND t.side IS NOT NULL)
                    OR (d.source_id IS NULL AND t.source_id IS NOT NULL)
                    OR (d.excluded IS NULL AND t.excluded IS NOT NULL)
                )
            RETURNING t.line
        )
        SELECT array_agg(f.line) INTO lines FROM filled AS f;
        taken := taken || lines;
    END LOOP;
    PERFORM set_config(
        'timescaledb.max_tuples_decompressed_per_dml_transaction', limit_before, true
    );
    RETURN taken;
END
$$;

COMMENT ON FUNCTION entasis_internal.fill_stored_trades IS
'Fills in what stored trades lack, a side, the source''s text of the id or the kind that excludes them, from these lines of pg_temp.entasis_staged_trades; where several lines are of one trade, from the first. Returns the lines that were used. A trade that is stored with another price, volume, side or text stays as it is.';
