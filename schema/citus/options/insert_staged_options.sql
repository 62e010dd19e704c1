-- insert_staged_trades() explains why it inserts first and compares afterwards.
CREATE OR REPLACE FUNCTION entasis.insert_staged_options(
    source_name text,
    OUT inserted bigint,
    OUT already_there bigint,
    OUT quarantined bigint,
    OUT past_retention bigint,
    OUT past_keep bigint,
    OUT rounded bigint,
    OUT nulled bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET client_min_messages = 'warning'
AS $$
DECLARE
    staged bigint;
    refused bigint;
    refused_old bigint;
    overtaken bigint;
    -- allowance for differing clocks
    latest timestamptz := clock_timestamp() + interval '5 minutes';
    lowest timestamptz;
    kept_from timestamptz;
    month timestamptz;
    doubtful bigint[];
    put_options entasis.option_data[];
BEGIN
    SELECT count(*) INTO staged FROM pg_temp.entasis_staged_options;

    SELECT r.rounded, r.nulled INTO rounded, nulled
    FROM entasis_internal.round_staged_options() AS r;

    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'option_data';
    SELECT entasis.keep_from(k.keep) INTO kept_from FROM entasis.keep_periods AS k
    WHERE k.relation = 'option_data';

    WITH judged AS MATERIALIZED (
        SELECT s.*, j.fault, s.ctid AS place
        FROM pg_temp.entasis_staged_options AS s
        CROSS JOIN LATERAL (
            SELECT entasis_internal.option_fault(
                s.underlying, s.strike_price, s.expiry_date, s.option_type, s.timestamp,
                s.bid_price, s.ask_price, s.mark_price, s.underlying_price, s.open_interest,
                CASE
                    WHEN s.timestamp < lowest AND entasis_internal.is_reopened(
                        'option_data', s.underlying, NULL, s.timestamp
                    ) THEN '-infinity'
                    ELSE lowest
                END,
                latest
            ) AS fault
        ) AS j
        WHERE j.fault IS NOT NULL
    ),
    discarded AS (
        DELETE FROM pg_temp.entasis_staged_options AS s
        USING judged AS j
        WHERE s.ctid = j.place
    ),
    put AS (
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'option_data', source_name, j.line, j.fault[1], j.fault[2],
            to_jsonb(j) - 'line' - 'fault' - 'place' - 'unnumbered'
        FROM judged AS j
        WHERE j.fault[1] <> 'past_retention'
        ON CONFLICT DO NOTHING
    ),
    counted AS (
        SELECT j.underlying AS symbol, NULL AS exchange, count(*) AS refused,
            min(j.timestamp) AS from_time, max(j.timestamp) AS to_time
        FROM judged AS j
        WHERE j.fault[1] = 'past_retention'
        GROUP BY 1, 2
    ),
    put_counts AS (
        INSERT INTO entasis.past_retention AS p (
            relation, source, symbol, exchange, refused, from_time, to_time
        )
        SELECT 'option_data', source_name, c.symbol, c.exchange, c.refused, c.from_time, c.to_time
        FROM counted AS c
        ORDER BY c.symbol, c.exchange
        ON CONFLICT ON CONSTRAINT past_retention_once DO UPDATE SET
            refused = p.refused + excluded.refused,
            from_time = least(p.from_time, excluded.from_time),
            to_time = greatest(p.to_time, excluded.to_time),
            last_refused_at = current_timestamp
    )
    SELECT coalesce(sum(c.refused), 0) INTO past_retention FROM counted AS c;

    FOR month IN
        SELECT DISTINCT date_trunc('month', s.timestamp) FROM pg_temp.entasis_staged_options AS s
        WHERE s.timestamp >= lowest
        ORDER BY 1
    LOOP
        -- the floor may lie inside a month
        PERFORM entasis.ensure_partitions(
            'option_data', greatest(month, lowest), month + interval '1 month'
        );
    END LOOP;

    PERFORM entasis_internal.number_staged_options();

    -- Inserts the first row of each key. Rows that were not inserted are compared with the stored ones by the
    -- next statement, whose snapshot includes what other sessions committed in the meantime.
    CREATE TEMPORARY TABLE IF NOT EXISTS entasis_put_options (LIKE entasis.option_data)
    ON COMMIT DROP;
    DELETE FROM pg_temp.entasis_put_options;
    WITH put AS (
        INSERT INTO entasis.option_data (
            underlying, strike_price, expiry_date, option_type, timestamp, id,
            iv, delta, gamma, theta, vega, bid_price, ask_price, mark_price, bid_iv, ask_iv,
            underlying_price, open_interest, rho
        )
        SELECT r.underlying, r.strike_price, r.expiry_date, r.option_type, r.timestamp, r.id,
            r.iv, r.delta, r.gamma, r.theta, r.vega, r.bid_price, r.ask_price, r.mark_price,
            r.bid_iv, r.ask_iv, r.underlying_price, r.open_interest, r.rho
        FROM (
            SELECT s.*, row_number() OVER (
                PARTITION BY s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id ORDER BY s.line
            ) AS rank
            FROM pg_temp.entasis_staged_options AS s
        ) AS r
        WHERE r.rank = 1
        ORDER BY r.underlying, r.expiry_date, r.strike_price, r.option_type, r.timestamp, r.id
        ON CONFLICT (underlying, expiry_date, strike_price, option_type, timestamp, id) DO NOTHING
        RETURNING *
    )
    SELECT array_agg(p) INTO put_options FROM put AS p;
    INSERT INTO pg_temp.entasis_put_options SELECT p.* FROM unnest(put_options) AS p;
    IF put_options IS NOT NULL AND entasis_internal.has_cache_listeners() THEN
        PERFORM entasis_internal.notify_option_changes(array_agg(DISTINCT p.underlying))
        FROM pg_temp.entasis_put_options AS p;
    END IF;
    SELECT (SELECT count(*) FROM pg_temp.entasis_put_options), array_agg(r.line) FILTER (WHERE p.id IS NULL OR r.rank > 1)
    INTO inserted, doubtful
    FROM (
        SELECT s.*, row_number() OVER (
            PARTITION BY s.underlying, s.expiry_date, s.strike_price, s.option_type, s.timestamp, s.id ORDER BY s.line
        ) AS rank
        FROM pg_temp.entasis_staged_options AS s
    ) AS r
    LEFT JOIN pg_temp.entasis_put_options AS p
        USING (underlying, expiry_date, strike_price, option_type, timestamp, id);

    PERFORM entasis_internal.copy_stored_options();
    WITH conflicts AS (
        SELECT s.*, to_jsonb(v.stored) AS stored
        FROM pg_temp.entasis_staged_options AS s
        INNER JOIN pg_temp.entasis_stored_options AS d
            ON s.underlying = d.underlying AND s.expiry_date = d.expiry_date
            AND s.strike_price = d.strike_price AND s.option_type = d.option_type
            AND s.timestamp = d.timestamp AND s.id = d.id
        CROSS JOIN LATERAL (
            SELECT
                row(
                    s.iv, s.delta, s.gamma, s.theta, s.vega, s.bid_price, s.ask_price,
                    s.mark_price, s.bid_iv, s.ask_iv, s.underlying_price, s.open_interest, s.rho
                ) AS given,
                row(
                    d.iv, d.delta, d.gamma, d.theta, d.vega, d.bid_price, d.ask_price,
                    d.mark_price, d.bid_iv, d.ask_iv, d.underlying_price, d.open_interest, d.rho
                ) AS stored
        ) AS v
        WHERE s.line = ANY (doubtful) AND v.given IS DISTINCT FROM v.stored
    ),
    put AS (
        INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
        SELECT 'option_data', source_name, c.line, 'conflict',
            format(
                'quote %s of %s %s %s expiring %s at %s is stored with other values: %s',
                c.id, c.underlying, c.strike_price, c.option_type,
                c.expiry_date AT TIME ZONE 'UTC', c.timestamp AT TIME ZONE 'UTC', c.stored
            ),
            to_jsonb(c) - 'line' - 'stored' - 'unnumbered'
        FROM conflicts AS c
        WHERE NOT c.unnumbered
        ON CONFLICT DO NOTHING
    )
    SELECT
        count(*), count(*) FILTER (WHERE c.timestamp < kept_from),
        count(*) FILTER (WHERE c.unnumbered)
    INTO refused, refused_old, overtaken
    FROM conflicts AS c;
    IF overtaken > 0 THEN
        RAISE EXCEPTION 'another session stored quotes of the same contract and timestamp meanwhile, under the numbers that these were given'
        USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
    END IF;

    SELECT
        count(*) - insert_staged_options.inserted - refused,
        count(*) FILTER (WHERE s.timestamp < kept_from) - refused_old
    INTO already_there, past_keep
    FROM pg_temp.entasis_staged_options AS s;
    quarantined := staged - insert_staged_options.inserted - already_there - past_retention;
    DELETE FROM pg_temp.entasis_staged_options;
END
$$;

COMMENT ON FUNCTION entasis.insert_staged_options IS
'Inserts the quotes of pg_temp.entasis_staged_options into option_data, as insert_staged_trades() does with trades: a quote that is stored already changes nothing; one that cannot be stored, or is stored with other values, goes to quarantine. A quote whose id is NULL is there already if a quote of that contract and timestamp has the same values, and is another quote with the next number if not. What lies below the floor is counted in entasis.past_retention. inserted, already_there, quarantined and past_retention add up to the number of staged rows; past_keep says how many of the first two are past the keep period; rounded and nulled how many values of the staged rows were rounded, or became NULL, as round_staged_options() does it. Raises 40001 when another session numbers quotes of the same contract and timestamp meanwhile.';
