-- Inserting first and comparing afterwards finds every conflict, including those with trades that another
-- session committed in between. What cannot be inserted goes to quarantine; nothing is discarded.
CREATE OR REPLACE FUNCTION entasis.insert_staged_trades(
    source_name text,
    OUT inserted bigint,
    OUT already_there bigint,
    OUT quarantined bigint,
    OUT past_retention bigint,
    OUT past_keep bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    staged bigint;
    refused bigint;
    refused_old bigint;
    lowest timestamptz;
    kept_from timestamptz;
    month timestamptz;
    stored tid[];
    repeated bigint[];
    fillable bigint[];
    differing bigint[];
BEGIN
    SELECT count(*) INTO staged FROM pg_temp.entasis_staged_trades;
    PERFORM entasis_internal.number_staged_trades();

    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'market_data';
    SELECT entasis.keep_from(k.keep) INTO kept_from FROM entasis.keep_periods AS k
    WHERE k.relation = 'market_data';

    -- Nothing is left to judge of a load that is repeated as a whole. In any other, all rows are judged together.
    IF NOT EXISTS (SELECT FROM pg_temp.entasis_staged_trades AS s WHERE s.timestamp < lowest)
        AND entasis_internal.count_staged_repeats() = staged
    THEN
        SELECT 0, staged, 0, 0, count(*) FILTER (WHERE s.timestamp < kept_from)
        INTO inserted, already_there, quarantined, past_retention, past_keep
        FROM pg_temp.entasis_staged_trades AS s;
        DELETE FROM pg_temp.entasis_staged_trades;
        DELETE FROM pg_temp.entasis_staged_units;
        RETURN;
    END IF;

    past_retention := entasis_internal.judge_staged_trades(source_name, lowest);

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

    stored := entasis_internal.match_staged_trades(source_name);
    PERFORM entasis_internal.refuse_torn_moments(source_name);
    SELECT i.* INTO inserted, repeated FROM entasis_internal.insert_matched_trades(stored) AS i;

    SELECT
        array_agg(c.line) FILTER (WHERE c.fills AND NOT c.differs),
        array_agg(c.line) FILTER (WHERE c.differs)
    INTO fillable, differing
    FROM (
        SELECT s.line,
            (
                s.price <> d.price OR s.volume <> d.volume OR s.side <> d.side
                OR s.source_id <> d.source_id
            ) IS TRUE AS differs,
            (s.side IS NOT NULL AND d.side IS NULL)
            OR (s.source_id IS NOT NULL AND d.source_id IS NULL)
            OR (s.excluded IS NOT NULL AND d.excluded IS NULL) AS fills
        FROM pg_temp.entasis_staged_trades AS s
        INNER JOIN entasis.market_data AS d USING (symbol, exchange, timestamp, id)
        WHERE s.line = ANY (repeated)
    ) AS c;

    -- A side for a trade that is stored without one is no conflict. Of two different sides, in this
    -- batch or in a concurrent transaction, the first is stored, and the other is compared below.
    IF fillable IS NOT NULL THEN
        differing := differing || ARRAY(
            SELECT unnest(fillable) EXCEPT SELECT unnest(entasis_internal.fill_in_turns(fillable))
        );
    END IF;

    WITH conflicts AS (
        SELECT s.*, d.price AS stored_price, d.volume AS stored_volume, d.side AS stored_side,
            d.source_id AS stored_source_id
        FROM pg_temp.entasis_staged_trades AS s
        INNER JOIN entasis.market_data AS d USING (symbol, exchange, timestamp, id)
        WHERE s.line = ANY (differing)
            AND (
                s.price <> d.price OR s.volume <> d.volume OR s.side <> d.side
                OR s.source_id <> d.source_id
            )
    ),
    put AS (
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'market_data', source_name, c.line, 'conflict',
            CASE
                WHEN c.source_id <> c.stored_source_id
                    THEN format(
                        'the id %s of %s %s at %s stands for "%s", and is the digest of "%s" too',
                        c.id, c.exchange, c.symbol, c.timestamp AT TIME ZONE 'UTC',
                        c.stored_source_id, c.source_id
                    )
                WHEN c.side <> c.stored_side
                    THEN format(
                        'trade %s of %s %s at %s is stored with price %s, volume %s and side %s; this one has %s, %s and %s',
                        c.id, c.exchange, c.symbol, c.timestamp AT TIME ZONE 'UTC',
                        c.stored_price, c.stored_volume, c.stored_side, c.price, c.volume, c.side
                    )
                ELSE format(
                    'trade %s of %s %s at %s is stored with price %s and volume %s; this one has %s and %s',
                    c.id, c.exchange, c.symbol, c.timestamp AT TIME ZONE 'UTC',
                    c.stored_price, c.stored_volume, c.price, c.volume
                )
            END,
            to_jsonb(c) - 'line' - 'stored_price' - 'stored_volume' - 'stored_side' - 'stored_source_id'
        FROM conflicts AS c
        ON CONFLICT DO NOTHING
    )
    SELECT count(*), count(*) FILTER (WHERE c.timestamp < kept_from) INTO refused, refused_old
    FROM conflicts AS c;

    SELECT
        count(*) - insert_staged_trades.inserted - refused,
        count(*) FILTER (WHERE s.timestamp < kept_from) - refused_old
    INTO already_there, past_keep
    FROM pg_temp.entasis_staged_trades AS s;
    quarantined := staged - insert_staged_trades.inserted - already_there - past_retention;
    DELETE FROM pg_temp.entasis_staged_trades;
    DELETE FROM pg_temp.entasis_staged_units;
END
$$;

COMMENT ON FUNCTION entasis.insert_staged_trades IS
'Inserts the trades of pg_temp.entasis_staged_trades into market_data, and creates the partitions that they need. A trade that is stored already changes nothing, except that its side, source_id and excluded replace a stored NULL; one that cannot be stored, or is stored with another price, volume, side or source_id, goes to quarantine with the reason. So does one whose id is stored at another time, where ids are the exchange''s: unless the finer of the two times cut to the unit of the other is the same, as an archive in microseconds and a feed in milliseconds tell one trade. What lies below the floor is counted in entasis.past_retention. inserted, already_there, quarantined and past_retention add up to the number of staged rows; past_keep says how many of the first two are past the keep period; a row that is in quarantine from an earlier load is counted but not written again.';
