-- Tables in a schema of their own that differ from one of ours in some columns: the others with their types, NOT NULLs,
-- defaults, CHECKs and indexes, as catalogs describe them. No partitions, triggers or candles. A CHECK goes with a column of its.
CREATE SCHEMA bench;

CREATE FUNCTION bench.table_like(
    source regclass, new_name text, without text[], other_types jsonb
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    other text[] := ARRAY(SELECT jsonb_object_keys(other_types));
    part record;
BEGIN
    EXECUTE (
        SELECT format(
            'CREATE TABLE bench.%I (%s)', new_name, string_agg(
                format(
                    '%I %s%s%s%s', a.attname,
                    coalesce(other_types ->> a.attname, format_type(a.atttypid, a.atttypmod)),
                    CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE "C"' END,
                    CASE WHEN a.attnotnull THEN ' NOT NULL' END,
                    ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
                ), ', ' ORDER BY a.attnum
            )
        )
        FROM pg_attribute AS a
        INNER JOIN pg_type AS t ON a.atttypid = t.oid
        LEFT JOIN pg_attrdef AS d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
            AND a.attname <> ALL (without)
    );
    FOR part IN
        SELECT pg_get_constraintdef(c.oid) AS definition
        FROM pg_constraint AS c
        WHERE c.conrelid = source AND c.contype = 'c' AND NOT EXISTS (
            SELECT FROM pg_attribute AS a
            WHERE a.attrelid = source AND a.attnum = ANY (c.conkey)
                AND a.attname = ANY (without || other)
        )
        ORDER BY c.conname
    LOOP
        EXECUTE format('ALTER TABLE bench.%I ADD %s', new_name, part.definition);
    END LOOP;
    FOR part IN
        SELECT
            i.indisunique,
            substring(pg_get_indexdef(i.indexrelid) FROM ' USING (.*)$') AS definition
        FROM pg_index AS i
        WHERE i.indrelid = source
            -- a partial index goes with a column of its condition
            AND NOT EXISTS (
                SELECT FROM unnest(table_like.without) AS w (name)
                WHERE pg_get_expr(i.indpred, i.indrelid) ~ ('\m' || w.name || '\M')
            )
        ORDER BY i.indexrelid
    LOOP
        EXECUTE format(
            'CREATE %s INDEX ON bench.%I USING %s',
            CASE WHEN part.indisunique THEN 'UNIQUE' END, new_name, part.definition
        );
    END LOOP;
END
$$;
