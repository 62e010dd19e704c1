SELECT set_config('citus.enable_ddl_propagation', 'on', true) AS propagating;
