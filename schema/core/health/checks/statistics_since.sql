-- Statistics of a database that nobody has reset have no stats_reset. They begin with the server's own, which begin when
-- the cluster was made, or anew after a crash.
CREATE OR REPLACE FUNCTION entasis_internal.statistics_since(stats_reset timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT greatest(statistics_since.stats_reset, b.stats_reset, i.installed_at)
    FROM pg_stat_bgwriter AS b
    CROSS JOIN entasis.installation AS i;
END;

COMMENT ON FUNCTION entasis_internal.statistics_since IS
'Since when the server has counted, by the stats_reset of the statistics. NULL, or earlier than Entasis DB: since that was installed, or the server crashed.';
