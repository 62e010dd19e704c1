-- Whatever another session does meanwhile to the same trades makes this fail with 40001: the caller repeats
-- it. Its new trades in the range are as if they had come afterwards.
CREATE OR REPLACE FUNCTION entasis.replace_staged_trades(
    from_time timestamptz DEFAULT NULL,
    to_time timestamptz DEFAULT NULL,
    OUT added bigint,
    OUT changed bigint,
    OUT removed bigint,
    OUT unchanged bigint,
    OUT past_keep bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    doomed record;
    lowest timestamptz;
    month timestamptz;
    deleted bigint;
    inserted bigint;
BEGIN
    IF from_time IS NOT NULL OR to_time IS NOT NULL THEN
        PERFORM entasis_internal.check_range_bounds(from_time, to_time);
    END IF;
    PERFORM entasis_internal.number_staged_trades();
    PERFORM entasis_internal.refuse_replacement(from_time, to_time);
    -- lines that tell a trade twice, to the same effect
    DELETE FROM pg_temp.entasis_staged_trades AS s USING (
        SELECT t.line, row_number() OVER (
            PARTITION BY t.symbol, t.exchange, t.timestamp, t.id ORDER BY t.line
        ) AS rank
        FROM pg_temp.entasis_staged_trades AS t
    ) AS r
    WHERE s.line = r.line AND r.rank > 1;
    SELECT count(*) INTO past_keep FROM pg_temp.entasis_staged_trades AS s
    WHERE s.timestamp < (
        SELECT entasis.keep_from(k.keep) FROM entasis.keep_periods AS k
        WHERE k.relation = 'market_data'
    );
    PERFORM entasis_internal.find_replaced_trades(from_time, to_time);

    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'market_data';
    SELECT r.* INTO doomed FROM pg_temp.entasis_replaced_trades AS r
    WHERE NOT r.is_same AND r.timestamp < lowest
        AND NOT entasis_internal.is_reopened('market_data', r.symbol, r.exchange, r.timestamp)
    ORDER BY r.timestamp LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING
            MESSAGE = format(
                'the stored trade %s of %s %s at %s would have to go, and lies below the floor: market_data was dropped up to %s',
                doomed.id, doomed.exchange, doomed.symbol, doomed.timestamp, lowest
            ),
            HINT = entasis_internal.reopening_hint(doomed.symbol, doomed.exchange, doomed.timestamp);
    END IF;

    SELECT
        count(*) FILTER (WHERE r.is_same),
        count(DISTINCT r.line) - count(*) FILTER (WHERE r.is_same),
        count(*) FILTER (WHERE NOT r.is_same)
    INTO unchanged, changed, removed
    FROM pg_temp.entasis_replaced_trades AS r;
    -- a file that does not state sides forgets none
    UPDATE pg_temp.entasis_staged_trades AS s SET side = r.side
    FROM (
        SELECT t.line, max(t.side) AS side FROM pg_temp.entasis_replaced_trades AS t
        WHERE t.by_id AND t.side IS NOT NULL
        GROUP BY t.line
        HAVING min(t.side) = max(t.side)
    ) AS r
    WHERE s.line = r.line AND s.side IS NULL;
    DELETE FROM pg_temp.entasis_staged_trades AS s USING pg_temp.entasis_replaced_trades AS r
    WHERE s.line = r.line AND r.is_same;
    SELECT count(*) - replace_staged_trades.changed INTO added FROM pg_temp.entasis_staged_trades;

    deleted := entasis_internal.delete_replaced_trades();
    FOR month IN
        SELECT DISTINCT date_trunc('month', s.timestamp) FROM pg_temp.entasis_staged_trades AS s
        -- what is reopened below the floor has its partitions
        WHERE s.timestamp >= lowest
        ORDER BY 1
    LOOP
        -- the floor may lie inside a month
        PERFORM entasis.ensure_partitions(
            'market_data', greatest(month, lowest), month + interval '1 month'
        );
    END LOOP;
    -- see refuse_repeated_ids()
    PERFORM set_config('entasis.trade_ids', pg_current_xact_id()::text, true);
    INSERT INTO entasis.market_data (
        symbol, exchange, timestamp, id, price, volume, side, source_id, excluded
    )
    SELECT s.symbol, s.exchange, s.timestamp, s.id, s.price, s.volume, s.side, s.source_id, s.excluded
    FROM pg_temp.entasis_staged_trades AS s
    -- all writers lock the keys in this order
    ORDER BY s.symbol, s.timestamp, s.exchange, s.id
    ON CONFLICT (symbol, timestamp, exchange, id) DO NOTHING;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    IF deleted <> removed OR inserted <> added + changed THEN
        RAISE serialization_failure USING
            MESSAGE = 'another session has written trades that are to be replaced; repeat the transaction';
    END IF;
    removed := removed - changed;

    DELETE FROM pg_temp.entasis_replaced_trades;
    DELETE FROM pg_temp.entasis_staged_trades;
    DELETE FROM pg_temp.entasis_staged_units;
END
$$;

COMMENT ON FUNCTION entasis.replace_staged_trades IS
'Stores the trades of pg_temp.entasis_staged_trades in the place of others: of every stored trade with one of their ids, at any time, where ids are the exchange''s, and of all others of their markets in [from_time, to_time) (both NULL: of none). What is stored already as it is staged stays untouched. added: trades whose id was not stored; changed: those that stand for one with the same id and another time, price, volume or side; removed: stored trades for which none stands now; unchanged: those that were stored already. past_keep: of all these, how many are past their keep period. Raises check_violation, and changes nothing, if a staged trade cannot be stored, lies outside of the range or is staged twice and differently, or if a stored one would have to go that lies below the floor; object_not_in_prerequisite_state if ids are unique only within a timestamp (ordinals) and there is no range; serialization_failure if the caller shall repeat the transaction.';
