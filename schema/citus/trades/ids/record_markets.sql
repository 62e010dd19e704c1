-- Whether a batch repeats ids is left to staging, through which every batch goes here.
CREATE OR REPLACE FUNCTION entasis.record_markets(
    source_name text,
    symbols text[],
    exchanges text[],
    id_spaces text[],
    time_units text[],
    first_times timestamptz[],
    last_times timestamptz[],
    first_ids bigint[],
    last_ids bigint[],
    rising boolean[]
) RETURNS TABLE (symbol text, exchange text, id_space text, recorded text, may_repeat boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    batch record;
BEGIN
    -- one market after the other: each is a statement for the node that has it
    FOR batch IN
        SELECT b.*, entasis.record_id_space(
            b.symbol, b.exchange, b.id_space, source_name, b.time_unit
        ) AS recorded
        FROM unnest(
            symbols, exchanges, id_spaces, record_markets.time_units, first_times, last_times,
            first_ids, last_ids, rising
        ) AS b (
            symbol, exchange, id_space, time_unit, first_time, last_time, first_id, last_id, rises
        )
    LOOP
        symbol := batch.symbol;
        exchange := batch.exchange;
        id_space := batch.id_space;
        recorded := batch.recorded;
        -- COPY as the caller after this, as the owner, is what Citus refuses: staging is all the owner's
        may_repeat := NULL;
        RETURN NEXT;
    END LOOP;
    -- see refuse_repeated_ids()
    PERFORM set_config('entasis.trade_ids', pg_current_xact_id()::text, true);
END
$$;

COMMENT ON FUNCTION entasis.record_markets IS
'Announces a batch of trades: records its markets with record_id_space(), and says of each, by may_repeat = NULL, that its trades go through insert_staged_trades(). The arrays have one element per market: of its trades the first and last time and id in the order of the key, the unit in which the source states times (NULL: it does not say), and whether ids rise strictly with (timestamp, id). recorded is the id space on record: callers refuse trades of any other; NULL: try again.';
