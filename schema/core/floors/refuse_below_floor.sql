-- The range that allows the write is locked until the end of the transaction, so that it cannot be closed and
-- dropped meanwhile; a transaction whose snapshot is older than its closing fails here with 40001.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_below_floor(
    relation_name text,
    earliest timestamptz,
    symbol_name text DEFAULT NULL,
    exchange_name text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    lowest timestamptz;
    command text;
BEGIN
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = relation_name;
    IF earliest IS NULL OR earliest >= lowest THEN
        RETURN;
    END IF;
    PERFORM FROM entasis.reopened AS r
    WHERE r.relation = relation_name
        AND (
            r.symbol IS NULL
            OR (r.symbol = symbol_name AND r.exchange IS NOT DISTINCT FROM exchange_name)
        )
        AND r.from_time <= earliest AND r.to_time > earliest
        AND r.opened_at IS NOT NULL
    FOR KEY SHARE;
    IF FOUND AND symbol_name IS NOT NULL THEN
        RETURN;
    END IF;
    command := format(
        'entasis reopen %s %s %s', relation_name, to_char(earliest, 'YYYY-MM-DD'),
        to_char(earliest + interval '1 day', 'YYYY-MM-DD')
    ) || coalesce(' --symbol ' || symbol_name, '') || coalesce(' --exchange ' || exchange_name, '');
    RAISE EXCEPTION '% is past its keep period: its data before % was dropped, and this statement touches %',
        relation_name, lowest, earliest
    USING ERRCODE = 'check_violation',
        CONSTRAINT = relation_name || '_floor',
        HINT = format('Writing there would recompute candles from trades that are gone. An administrator opens the range with: %s', command);
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_below_floor IS
'Raises check_violation (constraint <relation>_floor) if earliest lies below the floor of the relation and is not in a reopened range of that market; without a market, always if it lies below. NULL passes.';
