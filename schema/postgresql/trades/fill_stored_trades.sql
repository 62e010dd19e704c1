-- Locks the trades first, in the order of the key, as all writers do. The candles of those that
-- are excluded now are locked by the trigger, after them.
CREATE OR REPLACE FUNCTION entasis_internal.fill_stored_trades(fillable bigint[]) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken bigint[];
BEGIN
    PERFORM
    FROM pg_temp.entasis_staged_trades AS s
    INNER JOIN entasis.market_data AS d
        ON s.symbol = d.symbol AND s.exchange = d.exchange
        AND s.timestamp = d.timestamp AND s.id = d.id
    WHERE s.line = ANY (fillable)
    ORDER BY s.symbol, s.timestamp, s.exchange, s.id
    FOR NO KEY UPDATE OF d;

    WITH filled AS (
        UPDATE entasis.market_data AS d SET
            side = coalesce(d.side, t.side),
            source_id = coalesce(d.source_id, t.source_id),
            excluded = coalesce(d.excluded, t.excluded)
        FROM (
            SELECT DISTINCT ON (s.symbol, s.timestamp, s.exchange, s.id) s.*
            FROM pg_temp.entasis_staged_trades AS s
            WHERE s.line = ANY (fillable)
            ORDER BY s.symbol, s.timestamp, s.exchange, s.id, s.line
        ) AS t
        WHERE d.symbol = t.symbol AND d.exchange = t.exchange
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
    SELECT array_agg(f.line) INTO taken FROM filled AS f;
    RETURN taken;
END
$$;

COMMENT ON FUNCTION entasis_internal.fill_stored_trades IS
'Fills in what stored trades lack, a side, the source''s text of the id or the kind that excludes them, from these lines of pg_temp.entasis_staged_trades; where several lines are of one trade, from the first. Returns the lines that were used. A trade that is stored with another price, volume, side or text stays as it is.';
