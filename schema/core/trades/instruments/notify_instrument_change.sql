-- Turnover is computed when candles are read, so it is in cached candles, of any time. A market of no known kind has
-- none, as one that is not on record: most new ones are so. Of a row that is inserted there is no old one, and its
-- columns are NULL; of one that is deleted, no new one.
CREATE OR REPLACE FUNCTION entasis_internal.notify_instrument_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(new.kind, old.kind) IS NULL
        OR (new.kind, new.contract_size, new.volume_unit)
        IS NOT DISTINCT FROM (old.kind, old.contract_size, old.volume_unit)
    THEN
        RETURN NULL;
    END IF;
    IF entasis_internal.has_cache_listeners() THEN
        PERFORM entasis_internal.notify_caches(jsonb_build_object('trades', jsonb_build_array(
            jsonb_build_array(
                coalesce(new.symbol, old.symbol), coalesce(new.exchange, old.exchange),
                0, extract(EPOCH FROM now())::bigint + 86400
            )
        )));
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.notify_instrument_change IS
'Trigger of markets: has caches, if any are listening, evict the candles of a market whose kind, contract size or unit of volume changed.';
