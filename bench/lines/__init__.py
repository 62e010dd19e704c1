"""The lines of the benchmark, one a file, named by it; docs/bench.md says how to add one."""
