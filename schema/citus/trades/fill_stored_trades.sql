-- One trade after the other, in the order of the key, as all writers lock them.
CREATE OR REPLACE FUNCTION entasis_internal.fill_stored_trades(fillable bigint[]) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    trade record;
    taken bigint[];
    touched entasis.ohlcv_1m[];
BEGIN
    FOR trade IN
        SELECT DISTINCT ON (s.symbol, s.timestamp, s.exchange, s.id) s.*
        FROM pg_temp.entasis_staged_trades AS s
        WHERE s.line = ANY (fillable)
        ORDER BY s.symbol, s.timestamp, s.exchange, s.id, s.line
    LOOP
        UPDATE entasis.market_data AS d SET
            side = coalesce(d.side, trade.side),
            source_id = coalesce(d.source_id, trade.source_id),
            excluded = coalesce(d.excluded, trade.excluded)
        WHERE d.symbol = trade.symbol AND d.exchange = trade.exchange
            AND d.timestamp = trade.timestamp AND d.id = trade.id
            -- a concurrent transaction may have changed it after the comparison
            AND d.price = trade.price AND d.volume = trade.volume
            AND (d.side <> trade.side) IS NOT TRUE AND (d.source_id <> trade.source_id) IS NOT TRUE
            AND (
                (d.side IS NULL AND trade.side IS NOT NULL)
                OR (d.source_id IS NULL AND trade.source_id IS NOT NULL)
                OR (d.excluded IS NULL AND trade.excluded IS NOT NULL)
            );
        IF FOUND THEN
            taken := taken || trade.line;
            touched := touched || row(
                trade.symbol, trade.exchange,
                date_bin('1 minute', trade.timestamp, '2000-01-01 00:00:00+00'::timestamptz),
                0, 0, 0, 0, 0, 0, 0, trade.timestamp, 0, trade.timestamp, 0
            )::entasis.ohlcv_1m;
        END IF;
    END LOOP;
    IF touched IS NOT NULL THEN
        PERFORM entasis_internal.notify_candle_changes(touched);
    END IF;
    RETURN taken;
END
$$;

COMMENT ON FUNCTION entasis_internal.fill_stored_trades IS
'Fills in what stored trades lack, a side, the source''s text of the id or the kind that excludes them, from these lines of pg_temp.entasis_staged_trades; where several lines are of one trade, from the first. Returns the lines that were used. A trade that is stored with another price, volume, side or text stays as it is.';
