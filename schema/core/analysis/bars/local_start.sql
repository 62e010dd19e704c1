-- AT TIME ZONE takes the second of two such moments, and moves one that is skipped by as much as the clock jumps. Where
-- the clock was changed in the three hours before, the minutes are looked through. No zone changes by seconds since 1972.
CREATE OR REPLACE FUNCTION entasis_internal.local_start(local_time timestamp, zone text)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT
        CASE
            WHEN
                s.utc AT TIME ZONE 'UTC' AT TIME ZONE local_start.zone
                - (s.utc - interval '3 hours') AT TIME ZONE 'UTC' AT TIME ZONE local_start.zone
                = interval '3 hours'
                THEN s.utc AT TIME ZONE 'UTC'
            ELSE (
                SELECT min(m.utc) AT TIME ZONE 'UTC'
                FROM
                    generate_series(s.utc - interval '3 hours', s.utc, interval '1 minute')
                        AS m (utc)
                WHERE
                    m.utc AT TIME ZONE 'UTC' AT TIME ZONE local_start.zone
                    >= local_start.local_time
            )
        END
    FROM (
        SELECT local_start.local_time AT TIME ZONE local_start.zone AT TIME ZONE 'UTC' AS utc
    ) AS s;
END;

COMMENT ON FUNCTION entasis_internal.local_start IS
'The first moment at which the clock of a zone shows a time, of whole minutes, or a later one: the first of two where it is put back, the moment of the change where the time is skipped.';
