CREATE OR REPLACE FUNCTION entasis_internal.reopening_hint(
    symbol_name text, exchange_name text, at_time timestamptz
) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
BEGIN ATOMIC
    SELECT format(
        'An administrator opens the range with: entasis reopen market_data %s %s'
        || ' --symbol %s --exchange %s',
        to_char(reopening_hint.at_time, 'YYYY-MM-DD'),
        to_char(reopening_hint.at_time + interval '1 day', 'YYYY-MM-DD'),
        reopening_hint.symbol_name,
        reopening_hint.exchange_name
    );
END;

COMMENT ON FUNCTION entasis_internal.reopening_hint IS
'What to do about a trade that lies below the floor, as the hint of an error: the command that opens its day.';
