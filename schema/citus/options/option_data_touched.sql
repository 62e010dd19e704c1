CREATE OR REPLACE FUNCTION entasis_internal.option_data_touched() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lowest timestamptz;
BEGIN
    SELECT f.floor INTO lowest FROM entasis_internal.shard_floors AS f WHERE f.relation = 'option_data';
    IF tg_op IN ('UPDATE', 'DELETE') THEN
        IF (SELECT min(o.timestamp) FROM old_quotes AS o) < lowest THEN
            -- reopened ranges are whole days of an underlying
            PERFORM entasis_internal.refuse_below_floor(
                'option_data', min(o.timestamp), o.underlying
            )
            FROM old_quotes AS o
            GROUP BY o.underlying, date_trunc('day', o.timestamp, 'UTC');
        END IF;
    END IF;
    IF tg_op IN ('INSERT', 'UPDATE') THEN
        IF (SELECT min(n.timestamp) FROM new_quotes AS n) < lowest THEN
            -- reopened ranges are whole days of an underlying
            PERFORM entasis_internal.refuse_below_floor(
                'option_data', min(n.timestamp), n.underlying
            )
            FROM new_quotes AS n
            GROUP BY n.underlying, date_trunc('day', n.timestamp, 'UTC');
        END IF;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.option_data_touched IS
'Trigger of option_data: refuses a statement that wrote below the floor.';
