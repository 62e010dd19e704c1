-- Fifty names a notification: its payload is limited to 8,000 bytes, and a name takes up to 120 as JSON.
CREATE OR REPLACE FUNCTION entasis_internal.notify_option_changes(underlyings text[]) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT entasis_internal.notify_caches(jsonb_build_object('options', p.underlyings))
    FROM (
        SELECT jsonb_agg(t.underlying) AS underlyings
        FROM unnest(notify_option_changes.underlyings) WITH ORDINALITY AS t (underlying, position)
        GROUP BY (t.position - 1) / 50
    ) AS p;
END;

COMMENT ON FUNCTION entasis_internal.notify_option_changes IS
'Notifies caches that quotes of options on these underlyings changed. NULL: no notification.';
