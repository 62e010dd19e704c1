CREATE OR REPLACE FUNCTION entasis_internal.check_partition_range(
    relation_name text, from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    ahead integer;
    lowest timestamptz;
BEGIN
    SELECT k.months_ahead, f.floor INTO ahead, lowest
    FROM entasis.keep_periods AS k
    INNER JOIN entasis.floors AS f ON k.relation = f.relation
    WHERE k.relation = relation_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a partitioned relation of Entasis DB', relation_name
        USING ERRCODE = 'invalid_parameter_value',
            HINT = 'SELECT relation FROM entasis.floors names them.';
    END IF;
    IF from_time IS NULL OR to_time IS NULL OR NOT from_time < to_time THEN
        RAISE EXCEPTION 'from_time must lie before to_time, and both must be given'
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- 2009 is the year of Bitcoin's first block: times before it, and far ahead, are in a wrong unit.
    IF from_time < '2009-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'no partition of % is made before 2009, and % was asked for',
            relation_name, from_time
        USING ERRCODE = 'datetime_field_overflow',
            HINT = 'Are these times in the right unit (seconds, milliseconds, microseconds)?';
    END IF;
    IF to_time > date_trunc('month', now()) + (ahead + 1) * interval '1 month' THEN
        RAISE EXCEPTION 'no partition of % is made further ahead than % months, and % was asked for',
            relation_name, ahead, to_time
        USING ERRCODE = 'datetime_field_overflow',
            HINT = 'Are these times in the right unit? Else raise months_ahead in entasis.keep_periods.';
    END IF;
    -- each partition is locked to the end of the transaction
    IF from_time + interval '36 months' < to_time THEN
        RAISE EXCEPTION 'partitions of % are made for at most 36 months at a time', relation_name
        USING ERRCODE = 'program_limit_exceeded',
            HINT = 'Call it for one part after the other, each in its own transaction.';
    END IF;
    IF from_time < lowest THEN
        PERFORM entasis_internal.refuse_below_floor(relation_name, from_time);
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.check_partition_range IS
'Raises an error if a range [from_time, to_time) of a partitioned relation holds more than 36 months, reaches before 2009, below the floor, or further ahead than keep_periods.months_ahead.';
