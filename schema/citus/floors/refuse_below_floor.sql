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
    is_open boolean;
BEGIN
    SELECT f.floor INTO lowest FROM entasis_internal.shard_floors AS f WHERE f.relation = relation_name;
    IF earliest IS NULL OR earliest >= lowest THEN
        RETURN;
    END IF;
    -- the copy of this node, by its name: Citus would lock the row on another
    EXECUTE format(
        $sql$
        SELECT true FROM %s AS r
        WHERE r.relation = $1
            AND (r.symbol IS NULL OR (r.symbol = $2 AND r.exchange IS NOT DISTINCT FROM $3))
            AND r.from_time <= $4 AND r.to_time > $4
        FOR KEY SHARE
        $sql$,
        entasis_internal.shard_copy('entasis_internal.shard_reopened')
    ) INTO is_open USING relation_name, symbol_name, exchange_name, earliest;
    IF is_open AND symbol_name IS NOT NULL THEN
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
