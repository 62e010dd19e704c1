-- A notification's payload is limited to 8,000 bytes, and a name takes up to 258 of them as JSON.
CREATE OR REPLACE FUNCTION entasis_internal.notify_option_changes(underlyings text[]) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT entasis_internal.notify_caches(jsonb_build_object('options', p.underlyings))
    FROM (
        SELECT jsonb_agg(t.underlying) AS underlyings
        FROM (
            SELECT
                u.underlying,
                sum(octet_length(to_jsonb(u.underlying)::text) + 2) OVER (ORDER BY u.position)
                / 7000 AS piece
            FROM
                unnest(notify_option_changes.underlyings) WITH ORDINALITY
                    AS u (underlying, position)
        ) AS t
        GROUP BY t.piece
    ) AS p;
END;

COMMENT ON FUNCTION entasis_internal.notify_option_changes IS
'Notifies caches that quotes of options on these underlyings changed. NULL: no notification.';
