-- Citus follows what bodies of functions depend on, in both directions, and takes most of these for circular; and it does not
-- plan statements over distributed tables with the parameters of functions in language sql. So those that look at
-- tables, or at their rows, become the same statements in PL/pgSQL. With other names for columns and parameters, a column is meant.
DO $bodies$
DECLARE
    f record;
    head text;
    body text;
    first_ones text;
BEGIN
    FOR f IN
        SELECT
            p.oid,
            p.proretset,
            p.prorettype,
            p.proconfig IS NULL AS is_open,
            pg_get_functiondef(p.oid) AS definition,
            c.names,
            c.casts
        FROM pg_proc AS p
        CROSS JOIN LATERAL (
            SELECT
                string_agg(quote_ident('c' || o.place), ', ' ORDER BY o.place) AS names,
                string_agg(
                    format('q.%I::%s', 'c' || o.place, format_type(o.type, o.typmod)), ', ' ORDER BY o.place
                ) AS casts
            FROM (
                SELECT row_number() OVER (ORDER BY a.place) AS place, a.type, NULL::integer AS typmod
                FROM unnest(p.proargmodes, p.proallargtypes) WITH ORDINALITY AS a (mode, type, place)
                WHERE a.mode IN ('t', 'o', 'b')
                UNION ALL
                SELECT row_number() OVER (ORDER BY t.attnum) AS place, t.atttypid, t.atttypmod
                FROM pg_attribute AS t
                INNER JOIN pg_type AS y ON t.attrelid = y.typrelid
                WHERE y.oid = p.prorettype AND y.typtype = 'c' AND t.attnum > 0 AND NOT t.attisdropped
                UNION ALL
                SELECT 1, p.prorettype, NULL
                WHERE p.proargmodes IS NULL AND (SELECT y.typtype FROM pg_type AS y WHERE y.oid = p.prorettype) <> 'c'
            ) AS o
        ) AS c
        WHERE
            p.pronamespace IN ('entasis'::regnamespace, 'entasis_internal'::regnamespace)
            AND p.prosqlbody IS NOT NULL
            AND EXISTS (
                SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                    AND d.refclassid = 'pg_class'::regclass
            )
        ORDER BY p.oid
    LOOP
        head := substring(f.definition FROM '^(.*?)\n(?:BEGIN ATOMIC|RETURN)\s');
        body := substring(f.definition FROM '\nBEGIN ATOMIC\n(.*);\s*\nEND\s*$');
        -- checks of arguments come first, and return nothing
        first_ones := '';
        IF body ~ ';\s*\n' THEN
            SELECT
                string_agg(
                    CASE
                        -- q.*, or else a function that only refuses would be left out
                        WHEN s.text ~* '^\s*(SELECT|WITH)' THEN format(E'PERFORM q.* FROM (%s) AS q;\n', s.text)
                        ELSE s.text || E';\n'
                    END, '' ORDER BY s.place
                ) FILTER (WHERE s.place < s.last),
                max(s.text) FILTER (WHERE s.place = s.last)
            INTO first_ones, body
            FROM (
                SELECT t.text, t.place, count(*) OVER () AS last
                FROM regexp_split_to_table(body, ';\s*\n') WITH ORDINALITY AS t (text, place)
            ) AS s;
        END IF;
        IF body IS NULL THEN
            body := 'RETURN ' || substring(f.definition FROM '\nRETURN (.*)$');
        ELSIF f.proretset THEN
            body := format('RETURN QUERY SELECT %s FROM (%s) AS q (%s)', f.casts, body, f.names);
        ELSIF f.prorettype = 'void'::regtype THEN
            IF body ~* '^\s*(SELECT|WITH)' THEN
                body := format('PERFORM q.* FROM (%s) AS q', body);
            END IF;
        ELSE
            body := format('RETURN (%s)', body);
        END IF;
        EXECUTE regexp_replace(head, '\n LANGUAGE sql', E'\n LANGUAGE plpgsql')
            || CASE WHEN f.is_open THEN E'\n SET search_path TO pg_catalog, pg_temp' ELSE '' END
            || E'\nAS $plain$\n#variable_conflict use_column\nBEGIN\n' || first_ones || body || E';\nEND\n$plain$';
    END LOOP;
END
$bodies$;
