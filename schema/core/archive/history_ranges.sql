-- What readers have to know of the manifest, and no more. Where a range has a current archive and was not dropped,
-- its rows are in the relation; unless its partition is gone: detached by a maintenance that is at it or was killed
-- ('moving': the rows are in neither), or dropped by hand or without a comparison ('archive': there is no other copy).
-- A partition that is being detached shows no rows.
CREATE OR REPLACE FUNCTION entasis_internal.history_ranges(
    relation_name text,
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz
) RETURNS TABLE (
    source text,
    range_from timestamptz,
    range_to timestamptz,
    location text,
    version uuid,
    is_stale boolean,
    objects jsonb
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
BEGIN ATOMIC
    WITH present AS MATERIALIZED (
        SELECT
            p.from_time,
            p.to_time
        FROM entasis_internal.partitions_of(history_ranges.relation_name) AS p
        LEFT OUTER JOIN pg_inherits AS i ON p.partition_oid = i.inhrelid
        WHERE i.inhdetachpending IS NOT TRUE
    ),

    archived AS (
        SELECT
            a.*,
            CASE
                WHEN a.dropped_at IS NOT NULL THEN 'archive'
                WHEN
                    EXISTS (
                        SELECT FROM present AS p
                        WHERE p.from_time < a.to_time AND p.to_time > a.from_time
                    )
                    THEN 'relation'
                WHEN
                    EXISTS (
                        SELECT FROM entasis_internal.known_partitions AS s
                        INNER JOIN pg_class AS c
                            ON
                                s.partition_name = c.relname
                                AND c.relnamespace IN (
                                    to_regnamespace('entasis_internal'), to_regnamespace('entasis')
                                )
                        WHERE
                            s.relation = a.relation
                            AND s.from_time = a.from_time
                            AND s.to_time = a.to_time
                    )
                    THEN 'moving'
                ELSE 'archive'
            END AS source
        FROM entasis.archives AS a
        WHERE
            a.relation = history_ranges.relation_name
            AND a.from_time < history_ranges.to_time
            AND a.to_time > history_ranges.from_time
            AND a.verified_at IS NOT NULL
            AND a.superseded_at IS NULL
    )

    SELECT
        a.source,
        a.from_time AS range_from,
        a.to_time AS range_to,
        a.location,
        a.version,
        a.stale_at IS NOT NULL AS is_stale,
        (
            SELECT
                jsonb_agg(
                    jsonb_build_object('key', o.key, 'bytes', o.bytes, 'rows', o.row_count)
                    ORDER BY o.part
                )
            FROM entasis.archive_objects AS o
            WHERE o.archive_id = a.id AND a.source = 'archive'
        ) AS objects
    FROM archived AS a
    UNION ALL
    SELECT
        'relation' AS source,
        r.from_time AS range_from,
        r.to_time AS range_to,
        NULL AS location,
        NULL AS version,
        FALSE AS is_stale,
        NULL AS objects
    FROM (
        SELECT
            s.from_time,
            s.to_time
        FROM entasis.restores AS s
        WHERE s.relation = history_ranges.relation_name AND s.attached_at IS NOT NULL
        UNION ALL
        SELECT
            o.from_time,
            o.to_time
        FROM entasis.reopened AS o
        INNER JOIN entasis.keep_periods AS k ON o.relation IN (k.relation, k.derived_from)
        WHERE
            k.relation = history_ranges.relation_name
            AND o.opened_at IS NOT NULL
            AND (
                o.symbol IS NULL
                OR (
                    o.symbol = history_ranges.symbol_name
                    AND o.exchange IS NOT DISTINCT FROM history_ranges.exchange_name
                )
            )
    ) AS r
    WHERE r.from_time < history_ranges.to_time AND r.to_time > history_ranges.from_time
    ORDER BY range_from, source;
END;

COMMENT ON FUNCTION entasis_internal.history_ranges IS
'Where the rows of a relation in [from_time, to_time) are that are not simply in it. archive: in objects of the store at location, and to be read from there alone. moving: a partition is being dropped; ask again. relation: in it, below its floor, although archived, restored, or reopened for that market. What lies below the floor and in none of these is not known. Of quotes, symbol_name is the underlying, and exchange_name is NULL.';
