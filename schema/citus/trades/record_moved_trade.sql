-- SECURITY DEFINER, because writers have no rights on moved_trades. It asks what moved by itself: a WHEN of the trigger would make the
-- trigger depend on all that its table is used by.
CREATE OR REPLACE FUNCTION entasis_internal.record_moved_trade() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (old.symbol, old.exchange, old.timestamp) IS DISTINCT FROM (new.symbol, new.exchange, new.timestamp) THEN
        EXECUTE format(
            'INSERT INTO %s (transaction_id, symbol, exchange, timestamp)'
            ' VALUES (pg_current_xact_id(), $1, $2, $3), (pg_current_xact_id(), $1, $4, $5) ON CONFLICT DO NOTHING',
            entasis_internal.shard_of('entasis_internal.moved_trades', old.symbol)
        ) USING old.symbol, old.exchange, old.timestamp, new.exchange, new.timestamp;
    END IF;
    RETURN new;
END
$$;

COMMENT ON FUNCTION entasis_internal.record_moved_trade IS
'Trigger of market_data: records the old and new market and time of a trade that UPDATE or MERGE moves. Its symbol cannot change: Citus refuses that.';
