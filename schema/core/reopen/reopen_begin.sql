CREATE OR REPLACE FUNCTION entasis_internal.reopen_begin(
    relation_name text,
    from_time timestamptz,
    INOUT to_time timestamptz,
    symbol_name text,
    exchange_name text,
    keep_for interval,
    discard_candles boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    lowest timestamptz;
    archived record;
    lost record;
BEGIN
    IF relation_name NOT IN ('market_data', 'option_data') OR relation_name IS NULL THEN
        RAISE EXCEPTION 'only market_data and option_data can be reopened, not %', relation_name
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF (symbol_name IS NULL AND exchange_name IS NOT NULL)
        OR (symbol_name IS NOT NULL AND (exchange_name IS NULL) <> (relation_name = 'option_data'))
    THEN
        RAISE EXCEPTION 'a market of market_data is named by symbol and exchange, one of option_data by its underlying alone'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT (from_time >= '2009-01-01 00:00:00+00' AND from_time < to_time)
        OR from_time IS NULL OR to_time IS NULL
    THEN
        RAISE EXCEPTION 'from_time must lie before to_time, and not before 2009'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- the floor cannot rise meanwhile
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = relation_name FOR UPDATE;
    to_time := least(to_time, lowest);
    IF from_time >= to_time THEN
        RAISE EXCEPTION 'nothing was dropped from % on: the floor of % is %', from_time, relation_name, lowest
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Rows from the floor on can be written without reopening.';
    END IF;
    IF from_time <> date_trunc('day', from_time)
        OR (to_time <> date_trunc('day', to_time) AND to_time <> lowest)
    THEN
        RAISE EXCEPTION 'only whole UTC days can be reopened, because the candle of a day needs them'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- its partitions are locked to the end of the transaction
    IF from_time + interval '36 months' < to_time THEN
        RAISE EXCEPTION 'at most 36 months are reopened at a time'
        USING ERRCODE = 'program_limit_exceeded', HINT = 'Reopen one part after the other.';
    END IF;

    -- an archive made anew of a range that is not there whole would replace the only copy
    SELECT a.relation, a.from_time, a.to_time INTO archived
    FROM entasis.archives AS a
    INNER JOIN entasis.keep_periods AS k ON a.relation = k.relation
    WHERE relation_name IN (k.relation, k.derived_from)
        AND a.from_time < reopen_begin.to_time AND a.to_time > reopen_begin.from_time
        AND a.superseded_at IS NULL AND a.dropped_at IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM entasis.restores AS r
            WHERE r.relation = a.relation AND r.from_time = a.from_time AND r.to_time = a.to_time
                AND r.attached_at IS NOT NULL
        )
    ORDER BY a.relation, a.from_time
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% from % to % is archived and has to be restored first',
            archived.relation, archived.from_time, archived.to_time
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format(
                'entasis reopen does it. Or: entasis restore %s %s %s --attach', archived.relation,
                to_char(archived.from_time, 'YYYY-MM-DD'), to_char(archived.to_time, 'YYYY-MM-DD')
            );
    END IF;

    INSERT INTO entasis.reopened AS r (relation, symbol, exchange, from_time, to_time, keep_until)
    VALUES (
        relation_name, symbol_name, exchange_name, from_time, to_time, clock_timestamp() + keep_for
    )
    ON CONFLICT ON CONSTRAINT reopened_once DO UPDATE
        SET keep_until = greatest(r.keep_until, excluded.keep_until);
    PERFORM entasis_internal.make_partitions_below_floor(relation_name, from_time, to_time);
    IF relation_name = 'option_data' THEN
        RETURN;
    END IF;

    IF discard_candles THEN
        FOR lost IN
            SELECT f.symbol, f.exchange, sum(f.counted) FILTER (WHERE f.relation = 'ohlcv_1d') AS trades
            FROM entasis_internal.candle_faults(
                symbol_name, exchange_name, reopen_begin.from_time, reopen_begin.to_time
            ) AS f
            GROUP BY f.symbol, f.exchange
            HAVING bool_or(f.counted > f.stored)
        LOOP
            PERFORM entasis_internal.delete_candles(
                lost.symbol, lost.exchange, reopen_begin.from_time, reopen_begin.to_time
            );
            INSERT INTO entasis.maintenance_log (action, relation, detail)
            VALUES ('discard', relation_name, format(
                'candles of %s %s [%s, %s)', lost.exchange, lost.symbol, from_time, to_time
            ));
        END LOOP;
    END IF;
    SELECT
        count(DISTINCT (f.symbol, f.exchange)) AS markets,
        min(f.exchange || ' ' || f.symbol) AS one_market,
        count(*) AS candles
    INTO lost
    FROM entasis_internal.candle_faults(
        symbol_name, exchange_name, reopen_begin.from_time, reopen_begin.to_time
    ) AS f
    WHERE f.counted > f.stored;
    IF lost.candles > 0 THEN
        RAISE EXCEPTION '% candles of % markets from % to % count trades that are not stored (%)',
            lost.candles, lost.markets, from_time, to_time, lost.one_market
        USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'They are the last that is known of these trades. Name a market without candles there with --symbol and --exchange, or throw these away with --discard-candles.';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.reopen_begin IS
'First step of reopen(): checks that everything in the range is known, throws candles away if told to, makes its partitions, and records it as not open yet. Returns the end of the range, which is the floor at most.';
