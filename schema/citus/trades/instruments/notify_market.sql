-- What the trigger notify_instrument_change does on other engines. A trigger on a shard cannot: NOTIFY on a worker does not reach the
-- coordinator, and a transaction that sent one cannot be prepared.
CREATE OR REPLACE FUNCTION entasis_internal.notify_market(
    old_market entasis.markets, new_market entasis.markets
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(new_market.kind, old_market.kind) IS NULL
        OR (new_market.kind, new_market.contract_size, new_market.volume_unit)
        IS NOT DISTINCT FROM (old_market.kind, old_market.contract_size, old_market.volume_unit)
    THEN
        RETURN;
    END IF;
    IF entasis_internal.has_cache_listeners() THEN
        PERFORM entasis_internal.notify_caches(jsonb_build_object('trades', jsonb_build_array(
            jsonb_build_array(
                new_market.symbol, new_market.exchange, 0, extract(EPOCH FROM now())::bigint + 86400
            )
        )));
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_market IS
'Has caches, if any are listening, evict the candles of a market whose kind, contract size or unit of volume changed.';
