-- refresh_levels() explains why only the owner may, maintain() why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis_internal.reopen_candles(
    symbol_name text, exchange_name text, from_time timestamptz, to_time timestamptz
)
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM entasis_internal.candle_faults(
            symbol_name, exchange_name, reopen_candles.from_time, reopen_candles.to_time
        );
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF NOT pg_catalog.pg_has_role('entasis_owner', 'USAGE') THEN
        RAISE EXCEPTION 'candles of the range have to be made, and only a member of entasis_owner may refresh continuous aggregates'
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    CALL entasis_internal.refresh_levels(
        reopen_candles.from_time, reopen_candles.to_time, 'all with trades'
    );
END
$$;

COMMENT ON PROCEDURE entasis_internal.reopen_candles IS
'Makes the candles of a range that is being reopened from its trades, where they are missing. Commits. Needs the rights of entasis_owner if there is anything to do.';
