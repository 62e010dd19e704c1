-- A dump that is restored without roles, or a table made by hand, leaves objects to another owner, and whatever runs as
-- owner then lacks rights on them. What belongs to an extension, and entasis_jobs has by design, stays.
DO $owners$
DECLARE
    stray record;
BEGIN
    FOR stray IN
        SELECT
            CASE
                WHEN o.classid = 'pg_namespace'::regclass THEN 'SCHEMA'
                WHEN o.classid = 'pg_type'::regclass THEN 'TYPE'
                WHEN o.classid = 'pg_proc'::regclass THEN 'ROUTINE'
                WHEN o.kind = 'v' THEN 'VIEW'
                WHEN o.kind = 'S' THEN 'SEQUENCE'
                ELSE 'TABLE'
            END AS kind,
            i.identity
        FROM (
            SELECT 'pg_namespace'::regclass AS classid, n.oid AS objid, n.nspowner AS owner, ''::"char" AS kind
            FROM pg_catalog.pg_namespace AS n
            WHERE n.nspname IN ('entasis', 'entasis_internal', 'entasis_migrations')
            UNION ALL
            SELECT 'pg_class'::regclass, c.oid, c.relowner, c.relkind FROM pg_catalog.pg_class AS c
            INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
            WHERE n.nspname IN ('entasis', 'entasis_internal', 'entasis_migrations')
                AND c.relkind IN ('r', 'p', 'v', 'S')
                -- a sequence goes with the table whose column it fills
                AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_depend AS d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype IN ('a', 'i') AND c.relkind = 'S'
                )
            UNION ALL
            SELECT 'pg_proc'::regclass, p.oid, p.proowner, ''::"char" FROM pg_catalog.pg_proc AS p
            INNER JOIN pg_catalog.pg_namespace AS n ON p.pronamespace = n.oid
            WHERE n.nspname IN ('entasis', 'entasis_internal')
            UNION ALL
            SELECT 'pg_type'::regclass, t.oid, t.typowner, ''::"char" FROM pg_catalog.pg_type AS t
            INNER JOIN pg_catalog.pg_namespace AS n ON t.typnamespace = n.oid
            WHERE n.nspname IN ('entasis', 'entasis_internal') AND t.typtype IN ('d', 'e')
        ) AS o
        CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, 0) AS i
        WHERE
            o.owner <> 'entasis_owner'::regrole
            AND o.owner IS DISTINCT FROM to_regrole('entasis_jobs')
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_depend AS d
                WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e'
            )
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO entasis_owner', stray.kind, stray.identity);
    END LOOP;
END
$owners$;
