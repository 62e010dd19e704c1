CREATE OR REPLACE VIEW entasis.settings WITH (security_invoker = true) AS
WITH known AS (
    SELECT
        a.*,
        s.context,
        -- what this session or its login has for itself is nobody else's
        CASE
            WHEN s.source = 'session' THEN s.reset_val
            WHEN s.source NOT IN ('client', 'user', 'database user') THEN s.setting
        END AS text,
        -- bytes or seconds
        CASE
            WHEN s.unit = 'B' THEN 1
            WHEN s.unit ~ '^\d' THEN pg_size_bytes(s.unit)
            WHEN s.unit ~ 'B$' THEN pg_size_bytes('1 ' || s.unit)
            ELSE extract(EPOCH FROM ('1 ' || s.unit)::interval)
        END AS in_unit,
        s.unit ~ 'B$' AS is_bytes
    FROM entasis_internal.setting_advice() AS a
    INNER JOIN pg_settings AS s ON lower(a.setting) = lower(s.name)
    -- a server that was built without lz4 cannot have it
    WHERE coalesce(a.any_of && s.enumvals, true)
),

measured AS (
    SELECT
        k.*,
        CASE WHEN k.any_of IS null THEN k.text::numeric * coalesce(k.in_unit, 1) END AS number
    FROM known AS k
),

judged AS (
    SELECT
        m.*,
        CASE
            WHEN m.any_of IS null
                THEN m.number BETWEEN coalesce(m.lowest, m.number) AND coalesce(m.highest, m.number)
            ELSE m.text IN (SELECT unnest(m.any_of))
        END AS fits,
        coalesce(m.found_below, m.found_above) IS null AS is_found_when_unfit
    FROM measured AS m
)

SELECT
    j.setting,
    CASE
        WHEN j.in_unit IS null OR j.text::numeric <= 0 THEN j.text
        WHEN j.is_bytes THEN pg_size_pretty(j.number)
        ELSE coalesce(j.number, j.text::numeric * j.in_unit)::double precision || ' s'
    END AS value,
    j.advised,
    j.fits,
    CASE
        WHEN
            j.is_found_when_unfit AND NOT j.fits
            OR j.number < j.found_below OR j.number > j.found_above
            THEN j.found_by
    END AS found_by,
    j.context IN ('postmaster', 'internal') AS needs_restart,
    j.reason
FROM judged AS j
ORDER BY j.place;

COMMENT ON VIEW entasis.settings IS
'The server''s settings beside those that suit this workload, each with its reason. What does not fit is slower, or less is known of it; what loses data or does not fit at all is found by entasis.health. Without those that the server does not have, or not with such a value.';
COMMENT ON COLUMN entasis.settings.setting IS
'Name of the setting.';
COMMENT ON COLUMN entasis.settings.value IS
'What sessions of this database begin with. NULL: this login has a value of its own, behind which that of the others is not seen.';
COMMENT ON COLUMN entasis.settings.advised IS
'A value that fits, in the form of postgresql.conf.';
COMMENT ON COLUMN entasis.settings.fits IS
'Whether the value is as advised, or as good. NULL: it is not seen.';
COMMENT ON COLUMN entasis.settings.found_by IS
'The check of entasis.health that finds the value. NULL: none does.';
COMMENT ON COLUMN entasis.settings.needs_restart IS
'Whether a change needs a restart of the server, and not only a reload.';
COMMENT ON COLUMN entasis.settings.reason IS
'Why it is advised.';
