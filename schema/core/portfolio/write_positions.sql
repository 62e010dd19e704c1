-- As entasis.write_predictions does. Row-level security holds: the caller writes the positions of the user for
-- whom it acts, and reads no others.
CREATE OR REPLACE FUNCTION entasis.write_positions(
    user_ids uuid[],
    asset_types text[],
    position_sizes numeric[],
    entry_prices numeric[],
    current_prices numeric[],
    pnls numeric[],
    timestamps timestamptz[],
    replacing boolean DEFAULT false
) RETURNS TABLE (
    line integer,
    outcome text,
    rounded integer,
    id bigint,
    held_size numeric,
    held_entry_price numeric,
    held_current_price numeric,
    held_pnl numeric
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given CONSTANT integer := cardinality(user_ids);
    exact_sizes numeric[];
    exact_entries numeric[];
    exact_currents numeric[];
    exact_pnls numeric[];
    new_ids bigint[];
    answered integer;
BEGIN
    IF (
        given, given, given, given, given, given
    ) IS DISTINCT FROM (
        cardinality(asset_types), cardinality(position_sizes), cardinality(entry_prices),
        cardinality(current_prices), cardinality(pnls), cardinality(timestamps)
    ) THEN
        RAISE EXCEPTION 'the arrays of columns are not equally long'
            USING ERRCODE = 'array_subscript_error';
    END IF;
    -- trailing spaces beyond the length would be cut off
    IF EXISTS (SELECT FROM unnest(asset_types) AS g (asset) WHERE length(g.asset) > 64) THEN
        RAISE EXCEPTION 'an asset_type is too long: 64 characters fit'
            USING ERRCODE = 'string_data_right_truncation';
    END IF;
    exact_sizes := entasis_internal.round_numbers(position_sizes, 18, 'position_size');
    exact_entries := entasis_internal.round_numbers(entry_prices, 18, 'entry_price');
    exact_currents := entasis_internal.round_numbers(current_prices, 18, 'current_price');
    exact_pnls := entasis_internal.round_numbers(pnls, 24, 'pnl');
    WITH inserted AS (
        INSERT INTO entasis.portfolio_status AS s (
            user_id, asset_type, position_size, entry_price, current_price, pnl, timestamp
        )
        SELECT DISTINCT ON (g.holder, g.asset, g.taken_at)
            g.holder, g.asset, g.size, g.entry, g.current, g.pnl, g.taken_at
        FROM unnest(
            user_ids, asset_types, exact_sizes, exact_entries, exact_currents, exact_pnls,
            timestamps
        ) WITH ORDINALITY AS g (holder, asset, size, entry, current, pnl, taken_at, line)
        ORDER BY g.holder, g.asset, g.taken_at, g.line
        ON CONFLICT ON CONSTRAINT portfolio_status_key DO NOTHING
        RETURNING s.id
    )
    SELECT array_agg(i.id) INTO new_ids FROM inserted AS i;
    IF replacing THEN
        PERFORM FROM entasis.portfolio_status AS s
        INNER JOIN unnest(user_ids, asset_types, timestamps) AS g (holder, asset, taken_at)
            ON s.user_id = g.holder AND s.asset_type = g.asset AND s.timestamp = g.taken_at
        ORDER BY s.user_id, s.asset_type, s.timestamp
        FOR NO KEY UPDATE OF s;
    END IF;
    RETURN QUERY
    WITH found AS (
        SELECT
            g.line, s.id, g.size, g.entry, g.current, g.pnl,
            n.id IS NOT NULL AND g.line = min(g.line) OVER of_key AS is_new,
            (min_scale(g.raw_size) > 18)::integer + (min_scale(g.raw_entry) > 18)::integer
            + (min_scale(g.raw_current) > 18)::integer
            + (min_scale(g.raw_pnl) > 24)::integer AS rounded,
            -- of several rows of one key, each replaces the one before
            CASE WHEN replacing THEN lag(g.size, 1, s.position_size) OVER of_key
                ELSE s.position_size
            END AS held_size,
            CASE WHEN replacing THEN lag(g.entry, 1, s.entry_price) OVER of_key
                ELSE s.entry_price
            END AS held_entry,
            CASE WHEN replacing THEN lag(g.current, 1, s.current_price) OVER of_key
                ELSE s.current_price
            END AS held_current,
            CASE WHEN replacing THEN lag(g.pnl, 1, s.pnl) OVER of_key ELSE s.pnl END AS held_pnl
        FROM unnest(
            user_ids, asset_types, exact_sizes, exact_entries, exact_currents, exact_pnls,
            timestamps, position_sizes, entry_prices, current_prices, pnls
        ) WITH ORDINALITY AS g (
            holder, asset, size, entry, current, pnl, taken_at, raw_size, raw_entry, raw_current,
            raw_pnl, line
        )
        INNER JOIN entasis.portfolio_status AS s
            ON s.user_id = g.holder AND s.asset_type = g.asset AND s.timestamp = g.taken_at
        LEFT JOIN unnest(new_ids) AS n (id) ON s.id = n.id
        WINDOW of_key AS (PARTITION BY s.id ORDER BY g.line)
    ),
    replaced AS (
        UPDATE entasis.portfolio_status AS s
        SET
            position_size = l.size,
            entry_price = l.entry,
            current_price = l.current,
            pnl = l.pnl
        FROM (
            SELECT DISTINCT ON (f.id) f.* FROM found AS f ORDER BY f.id, f.line DESC
        ) AS l
        WHERE
            replacing
            AND s.id = l.id
            AND (s.position_size, s.entry_price, s.current_price, s.pnl)
            IS DISTINCT FROM (l.size, l.entry, l.current, l.pnl)
    )
    SELECT
        f.line::integer,
        CASE
            WHEN f.is_new THEN 'inserted'
            WHEN
                (f.size, f.entry, f.current, f.pnl)
                = (f.held_size, f.held_entry, f.held_current, f.held_pnl)
                THEN 'already_there'
            WHEN replacing THEN 'replaced'
            ELSE 'conflict'
        END,
        f.rounded, f.id, f.held_size, f.held_entry, f.held_current, f.held_pnl
    FROM found AS f
    ORDER BY f.line;
    GET DIAGNOSTICS answered = ROW_COUNT;
    IF answered < given THEN
        RAISE EXCEPTION 'positions of this call were deleted while it ran'
            USING ERRCODE = 'serialization_failure', HINT = 'Repeat the transaction.';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis.write_positions IS
'Stores snapshots of positions, given as one array a column, and returns a row for each: line (its place, from 1), outcome, rounded (how many of its numbers had more decimals than fit, 18 and for pnl 24, and were rounded half to even), id, and the values that were stored under its key when it came (its own if it was inserted). outcome: inserted; already_there: the same values are stored under its key; conflict: others are, which stay; replaced (only if replacing): its values took their place. Rows of one key count in their order. Raises check_violation for NULL, NaN and infinities, and for values that would be stored and that the table refuses: nothing is stored then. Takes no double precision[]: write_position() does.';
