"""The benchmark of Entasis DB: ratios taken side by side in one run, never bare seconds.

``python -m bench`` (or ``make bench``) measures on a temporary PostgreSQL cluster with durable
settings, or in databases of its own on the server of DATABASE_URL. docs/bench.md says how to choose
lines and how to add one. From the bottom up:

- ``measure``: timing, ratios, EXPLAIN; ``data``: made-up trades; ``server``: its databases
- ``loaders``: ways to load trades; ``files``: the same trades as Parquet and CSV
- ``context``: what a line is given; ``line``: what a line is
- ``lines/``: the lines, one a file; ``registry`` finds them
- ``run``: takes them; ``report``: writes them down; ``__main__``: the command line
"""
