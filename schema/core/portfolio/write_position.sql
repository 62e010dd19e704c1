-- As entasis.write_prediction does.
CREATE OR REPLACE FUNCTION entasis.write_position(
    user_id uuid,
    asset_type text,
    position_size double precision,
    entry_price double precision,
    current_price double precision,
    pnl double precision,
    taken_at timestamptz,
    replacing boolean DEFAULT false
) RETURNS TABLE (
    outcome text,
    rounded integer,
    id bigint,
    held_size numeric,
    held_entry_price numeric,
    held_current_price numeric,
    held_pnl numeric
)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
SET extra_float_digits = 1
BEGIN ATOMIC
    SELECT
        w.outcome,
        w.rounded,
        w.id,
        w.held_size,
        w.held_entry_price,
        w.held_current_price,
        w.held_pnl
    FROM entasis.write_positions(
        ARRAY[write_position.user_id],
        ARRAY[write_position.asset_type],
        ARRAY[write_position.position_size::text::numeric],
        ARRAY[write_position.entry_price::text::numeric],
        ARRAY[write_position.current_price::text::numeric],
        ARRAY[write_position.pnl::text::numeric],
        ARRAY[write_position.taken_at],
        write_position.replacing
    ) AS w;
END;

COMMENT ON FUNCTION entasis.write_position IS
'Stores one snapshot of a position whose numbers are double precision, each as the shortest decimal that is read back as the same double: a cast to NUMERIC, which an INSERT makes, keeps 15 digits. Numbers with more decimals than fit (18, and for pnl 24) are rounded half to even, and counted in rounded. What it returns and raises is what write_positions() does, which takes NUMERIC: a NUMERIC given here is cut to the 17 digits of a double.';
