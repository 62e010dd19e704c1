CREATE OR REPLACE FUNCTION entasis_internal.anomaly_limit(limit_name text) RETURNS numeric
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT l.value FROM entasis.anomaly_limits AS l
    WHERE l.name = anomaly_limit.limit_name;
END;

COMMENT ON FUNCTION entasis_internal.anomaly_limit IS
'A limit of entasis.anomaly_limits by its name.';
