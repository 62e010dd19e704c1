-- What follows is asked on the coordinator alone. (Citus would also try to make the system views that they look at.)
SELECT set_config('citus.enable_ddl_propagation', 'off', true) AS propagating;
