-- maintain() explains why every name is qualified.
CREATE OR REPLACE PROCEDURE entasis.reopen(
    relation_name text,
    from_time timestamptz,
    to_time timestamptz,
    symbol_name text DEFAULT NULL,
    exchange_name text DEFAULT NULL,
    keep_for interval DEFAULT '30 days',
    discard_candles boolean DEFAULT FALSE
)
LANGUAGE plpgsql
AS $$
DECLARE
    until pg_catalog.timestamptz := entasis_internal.reopen_begin(
        relation_name, from_time, to_time, symbol_name, exchange_name, keep_for, discard_candles
    );
BEGIN
    COMMIT;
    IF relation_name OPERATOR(pg_catalog.=) 'market_data' THEN
        CALL entasis_internal.reopen_candles(symbol_name, exchange_name, from_time, until);
    END IF;
    PERFORM entasis_internal.reopen_end(
        relation_name, from_time, until, symbol_name, exchange_name
    );
    COMMIT;
END
$$;

COMMENT ON PROCEDURE entasis.reopen IS
'Opens the UTC days [from_time, to_time) below the floor for writers, for one market or, with symbol_name NULL, for all; maintain() leaves them there for keep_for. Archived ranges must have been restored with attach. Refuses markets whose candles there count trades that are not stored, unless discard_candles. The floor stays where it is. Commits, so it cannot run inside a transaction block; safe to repeat.';
