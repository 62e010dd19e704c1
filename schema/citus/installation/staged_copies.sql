-- Statements that join staged rows with shards are more than Citus plans. So the functions of staging are made anew, with copies in the
-- place of tables (copy_stored_trades() explains them). They stay the core's text but for these pieces, each of which has to be there.
-- What is announced, inserted and replaced is one role's, the owner's: Citus refuses two roles that write in one transaction.
DO $copies$
DECLARE
    rule record;
    made text;
BEGIN
    FOR rule IN
        SELECT w.function_name, array_agg(w.piece) AS pieces, array_agg(w.instead) AS instead
        FROM (VALUES
            ('entasis.stage_trades', E'\nEND\n', E'\n    GRANT SELECT, UPDATE, DELETE ON pg_temp.entasis_staged_trades, pg_temp.entasis_staged_units TO entasis_owner;\nEND\n'),
            ('entasis.stage_options', E'\nEND\n', E'\n    GRANT SELECT, UPDATE, DELETE ON pg_temp.entasis_staged_options TO entasis_owner;\nEND\n'),
            ('entasis_internal.count_staged_repeats', E'\nBEGIN\n', E'\nBEGIN\n    PERFORM entasis_internal.copy_stored_trades();\n'),
            ('entasis_internal.count_staged_repeats', 'entasis.market_data AS t', 'pg_temp.entasis_stored_trades AS t'),
            ('entasis_internal.match_stored_trades', E'\nBEGIN\n', E'\nBEGIN\n    PERFORM entasis_internal.copy_trades_of_ids(symbols, exchanges, from_times, to_times);\n'),
            ('entasis_internal.match_stored_trades', 'entasis.markets AS m', 'pg_temp.entasis_staged_markets AS m'),
            ('entasis_internal.match_stored_trades', 'entasis.market_data AS t', 'pg_temp.entasis_stored_trades AS t'),
            ('entasis_internal.match_repeated_lines', 'entasis.markets AS m', 'pg_temp.entasis_staged_markets AS m'),
            ('entasis_internal.match_staged_trades', E'\nBEGIN\n', E'\nBEGIN\n    PERFORM entasis_internal.copy_staged_markets();\n'),
            ('entasis_internal.match_staged_trades', 'entasis.markets AS m', 'pg_temp.entasis_staged_markets AS m'),
            ('entasis_internal.refuse_torn_moments', E'\nBEGIN\n', E'\nBEGIN\n    PERFORM entasis_internal.copy_stored_trades();\n'),
            ('entasis_internal.refuse_torn_moments', 'entasis.markets AS m', 'pg_temp.entasis_staged_markets AS m'),
            ('entasis_internal.refuse_torn_moments', 'entasis.market_data AS d', 'pg_temp.entasis_stored_trades AS d'),
            ('entasis.insert_staged_trades', 'entasis.market_data AS d USING', 'pg_temp.entasis_stored_trades AS d USING'),
            ('entasis.insert_staged_trades', E'\n    SELECT\n        array_agg(c.line) FILTER (WHERE c.fills', E'\n    PERFORM entasis_internal.copy_stored_trades();\n    SELECT\n        array_agg(c.line) FILTER (WHERE c.fills'),
            ('entasis.insert_staged_trades', E'\n    WITH conflicts AS (', E'\n    PERFORM entasis_internal.copy_stored_trades();\n    WITH conflicts AS ('),
            ('entasis_internal.refuse_replacement', E'\nBEGIN\n', E'\nBEGIN\n    PERFORM entasis_internal.copy_staged_markets();\n'),
            ('entasis_internal.refuse_replacement', 'entasis.markets AS m', 'pg_temp.entasis_staged_markets AS m'),
            ('entasis_internal.find_replaced_trades', 'entasis.markets AS m', 'pg_temp.entasis_staged_markets AS m'),
            ('entasis_internal.find_replaced_trades', 'entasis.market_data AS d', 'pg_temp.entasis_stored_trades AS d'),
            ('entasis_internal.find_replaced_trades', E'\n    LOOP\n', E'\n    LOOP\n        PERFORM entasis_internal.copy_trades_to_replace(market.symbol, market.exchange, CASE WHEN market.by_id THEN market.first_id END, market.last_id, find_replaced_trades.from_time, find_replaced_trades.to_time);\n'),
            -- the count of INSERT ... SELECT ... DO NOTHING is Citus's of all rows that were selected
            ('entasis.replace_staged_trades', E'\n    INSERT INTO entasis.market_data (', E'\n    WITH put AS (INSERT INTO entasis.market_data ('),
            ('entasis.replace_staged_trades', E'DO NOTHING;\n    GET DIAGNOSTICS inserted = ROW_COUNT;', E'DO NOTHING RETURNING id)\n    SELECT count(*) INTO inserted FROM put;'),
            -- the owner's, so that its caller could not drop it behind a pooler
            ('entasis_internal.find_replaced_trades', 'ON COMMIT DELETE ROWS', 'ON COMMIT DROP'),
            ('entasis.replace_staged_trades', E'\n    deleted := entasis_internal.delete_replaced_trades();\n', E'\n    PERFORM entasis_internal.notify_replaced_trades();\n    deleted := entasis_internal.delete_replaced_trades();\n'),
            ('entasis.set_market', E'\n    market := jsonb_populate_record(market, settings);\n', E'\n    PERFORM entasis_internal.notify_market(market, jsonb_populate_record(market, settings));\n    market := jsonb_populate_record(market, settings);\n'),
            ('entasis.record_instruments', E'\n            recorded := recorded + 1;\n        ELSIF', E'\n            PERFORM entasis_internal.notify_market(market, changed);\n            recorded := recorded + 1;\n        ELSIF'),
            -- a function beside shards may ask no other shard
            ('entasis_internal.silences', E'    next_trade timestamptz;\nBEGIN\n', E'    next_trade timestamptz;\n    earlier timestamptz;\nBEGIN\n    IF isfinite(silences.from_time) THEN\n        SELECT p.traded_at INTO earlier FROM entasis_internal.previous_trade(symbol_name, exchange_name, silences.from_time, lowest_id) AS p;\n    END IF;\n'),
            ('entasis_internal.silences', E'SELECT p.traded_at, p.traded_at, 0\n        FROM entasis_internal.previous_trade(symbol_name, exchange_name, silences.from_time, lowest_id) AS p\n        WHERE isfinite(silences.from_time) AND p.traded_at < read_from', 'SELECT earlier, earlier, 0 WHERE earlier < read_from'),
            ('entasis_internal.health_values', E'\nEND\n', E'\n    RETURN QUERY SELECT * FROM entasis_internal.health_nodes();\nEND\n'),
            ('entasis_internal.number_staged_options', E'\nBEGIN\n', E'\nBEGIN\n    PERFORM entasis_internal.copy_stored_options();\n'),
            ('entasis_internal.number_staged_options', 'entasis.option_data AS d', 'pg_temp.entasis_stored_options AS d')
        ) AS w (function_name, piece, instead)
        GROUP BY w.function_name
    LOOP
        made := pg_get_functiondef(rule.function_name::regproc);
        FOR nth IN 1..cardinality(rule.pieces) LOOP
            IF strpos(made, rule.pieces[nth]) = 0 THEN
                RAISE EXCEPTION '%() has another text than staged_copies.sql knows: % is missing', rule.function_name, rule.pieces[nth];
            END IF;
            made := replace(made, rule.pieces[nth], rule.instead[nth]);
        END LOOP;
        EXECUTE made;
    END LOOP;
    ALTER FUNCTION entasis.insert_staged_trades SECURITY DEFINER;
    ALTER FUNCTION entasis.replace_staged_trades SECURITY DEFINER;
END
$copies$;
