-- A feed and a file in one batch may each say a part: one the side, the other the text of the id.
CREATE OR REPLACE FUNCTION entasis_internal.fill_in_turns(fillable bigint[]) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    turn bigint[];
    later bigint[] := fillable;
    taken bigint[];
BEGIN
    WHILE later IS NOT NULL LOOP
        SELECT
            array_agg(f.line) FILTER (WHERE f.rank = 1),
            array_agg(f.line) FILTER (WHERE f.rank > 1)
        INTO turn, later
        FROM (
            SELECT s.line, row_number() OVER (
                PARTITION BY s.symbol, s.exchange, s.timestamp, s.id ORDER BY s.line
            ) AS rank
            FROM pg_temp.entasis_staged_trades AS s
            WHERE s.line = ANY (later)
        ) AS f;
        taken := taken || entasis_internal.fill_stored_trades(turn);
    END LOOP;
    RETURN taken;
END
$$;

COMMENT ON FUNCTION entasis_internal.fill_in_turns IS
'Calls fill_stored_trades() for lines of pg_temp.entasis_staged_trades, with the first line of each trade, then with the second, and so on. Returns the lines that were used.';
