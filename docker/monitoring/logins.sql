-- The logins of Prometheus and Grafana in Docker, run by the service "logins" until the roles are there.
\set ON_ERROR_STOP on
\getenv metrics METRICS_PASSWORD
\getenv dashboard DASHBOARD_PASSWORD
BEGIN;
SELECT 'entasis_monitor'::regrole, 'entasis_reader'::regrole \g /dev/null
SELECT format('CREATE ROLE %I LOGIN', r.name)
FROM (VALUES ('entasis_docker_metrics'), ('entasis_docker_dashboard')) AS r (name)
WHERE NOT EXISTS (SELECT FROM pg_roles AS p WHERE p.rolname = r.name) \gexec
ALTER ROLE entasis_docker_metrics PASSWORD :'metrics' CONNECTION LIMIT 5;
ALTER ROLE entasis_docker_dashboard PASSWORD :'dashboard' CONNECTION LIMIT 10;
ALTER ROLE entasis_docker_metrics SET statement_timeout = '10s';
ALTER ROLE entasis_docker_dashboard SET statement_timeout = '30s';
ALTER ROLE entasis_docker_dashboard SET default_transaction_read_only = on;
GRANT entasis_monitor TO entasis_docker_metrics;
GRANT entasis_reader TO entasis_docker_dashboard;
COMMIT;
